#include "plugins/heads/dnc/dnc_head.h"

#include <ATen/autocast_mode.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>
#include <torch/types.h>

#include <algorithm>
#include <limits>
#include <thread>
#include <vector>

#include "registry/error.h"
#include "tests/golden/golden.h"
#include "tests/plugins/heads/dnc_testing.h"
#include "tests/plugins/traced.h"

namespace dnc {
namespace {

using Options = DncHead::Options;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

torch::Tensor labels_up_to(int64_t classes, int64_t n, uint64_t seed) {
  torch::manual_seed(seed);
  return at::randint(classes, {n}, torch::kLong);
}

/// Options under which an update touches all state.
Options all_state() {
  Options options;
  options.momentum = 0.9;
  options.memory = 5;
  options.start = DncHead::Start::kData;
  options.revive = DncHead::Revive::kResample;
  options.patience = 2;
  options.embedding_norm = DncHead::Norm::kLayerNorm;
  options.score_norm = DncHead::Norm::kLayerNorm;
  return options;
}

TEST(DncHead, ForwardLossesAndReportsLeaveTheStateAlone) {
  auto options = all_state();
  options.ppc = options.ppd = 1;
  auto head = make_dnc(options, 6, 8);
  update(*head, at::randn({20, 8}), labels_up_to(6, 20, 1));
  const auto before = state_copy(*head);
  auto step = make_step(*head, at::randn({20, 8}).requires_grad_(), labels_up_to(6, 20, 2));
  head->train();
  head->forward(step.embeddings);
  Losses losses;
  head->add_losses(step, losses);
  head->figures();
  head->mass();
  head->prototypes().zero_();
  head->project(step.embeddings);
  EXPECT_TRUE(same_state(state_copy(*head), before));
  update(*head, step.embeddings, step.labels);
  EXPECT_FALSE(same_state(state_copy(*head), before));
}

TEST(DncHead, PixelsScoreAsImagesDo) {
  auto head = make_dnc({}, 7, 5);
  const auto x = at::randn({2, 5, 3, 4});
  const auto scores = head->forward(x);
  EXPECT_EQ(scores.sizes(), (std::vector<int64_t>{2, 7, 3, 4}));
  const auto rows = head->forward(x.movedim(1, -1).reshape({-1, 5}));
  EXPECT_TRUE(is_close(scores.movedim(1, -1).reshape({-1, 7}), rows, 1e-6));
  const auto last = x.contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(is_close(head->forward(last), scores, 1e-6));
}

TEST(DncHead, ComputesInFloat32UnderAutocastAndFromBfloat16) {
  auto head = make_dnc({}, 7, 64);
  const auto x = at::randn({9, 64}).to(torch::kBFloat16).to(torch::kFloat);
  const auto expected = head->forward(x);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto scores = head->forward(x.to(torch::kBFloat16).requires_grad_());
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_EQ(scores.scalar_type(), torch::kFloat);
  EXPECT_TRUE(is_close(scores, expected, 1e-6));

  auto other = make_dnc({}, 7, 64);
  other->named_buffers()["prototypes"].copy_(head->prototypes());
  update(*head, x, labels_up_to(7, 9, 3));
  update(*other, x.to(torch::kBFloat16), labels_up_to(7, 9, 3));
  EXPECT_TRUE(same_state(state_copy(*head), state_copy(*other)));
}

TEST(DncHead, ATraceRunsAtOtherSizes) {
  const torch::NoGradGuard no_grad;
  for (const auto& options : {Options(), all_state()}) {
    auto head = make_dnc(options, 3, 8);
    for (auto& parameter : head->parameters()) parameter.requires_grad_(false);
    const auto forward = [&](const torch::Tensor& x) { return head->forward(x); };
    const auto images = trace(forward, at::randn({2, 8}));
    const auto x = at::randn({5, 8});
    // A norm over few values magnifies rounding, and a fused trace rounds otherwise.
    EXPECT_TRUE(is_close(images(x), head->forward(x), 1e-4));
    const auto pixels = trace(forward, at::randn({2, 8, 5, 6}));
    for (const auto& sizes : {std::vector<int64_t>{3, 8, 7, 4}, {1, 8, 1, 9}}) {
      const auto y = at::randn(sizes);
      EXPECT_TRUE(is_close(pixels(y), head->forward(y), 1e-4));
    }
  }
}

TEST(DncHead, RefusesEmbeddingsAndLabelsOfAnotherShape) {
  auto head = make_dnc({}, 4, 8);
  const auto message = [](const auto& call) {
    try {
      call();
    } catch (const c10::Error& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_EQ(message([&] {
              head->forward(at::zeros({2, 9}));
            }),
            "DNC: expected embeddings [N, 8] or [N, 8, h, w], got [2, 9]");
  EXPECT_EQ(message([&] {
              update(*head, at::zeros({2, 8}), at::zeros({3}, torch::kLong));
            }),
            "DNC: labels [3] do not fit embeddings [2, 8]");
  EXPECT_EQ(message([&] {
              update(*head, at::ones({2, 8}), torch::tensor({0, 4}));
            }),
            "DNC: label 4 of 4 classes");
  EXPECT_THAT(message([&] {
                head->set_prototypes(torch::tensor({0}), torch::tensor({0}), at::zeros({1, 9}));
              }),
              HasSubstr("points [M, 8], got [1], [1] and [1, 9]"));
}

TEST(DncHead, RefusesOptionsThatWouldDoNothing) {
  Options options;
  options.memory = 4;
  options.assignment = DncHead::Assignment::kNearest;
  EXPECT_THROW(make_dnc(options, 3, 4), OptionError);
  options.memory = 0;
  EXPECT_NO_THROW(make_dnc(options, 3, 4));
  options.assignment = DncHead::Assignment::kNone;
  options.start = DncHead::Start::kData;
  EXPECT_THROW(make_dnc(options, 3, 4), OptionError);
}

TEST(DncHead, LearnsNothingByGradientUnlessItHasNorms) {
  EXPECT_TRUE(make_dnc({}, 4, 8)->parameters().empty());
  auto head = make_dnc(all_state(), 4, 8);
  std::vector<std::string> parameters, buffers;
  for (const auto& item : head->named_parameters()) parameters.push_back(item.key());
  for (const auto& item : head->named_buffers()) buffers.push_back(item.key());
  EXPECT_THAT(parameters, UnorderedElementsAre("feat_norm.weight", "feat_norm.bias",
                                               "mask_norm.weight", "mask_norm.bias"));
  EXPECT_THAT(buffers, UnorderedElementsAre("prototypes", "mass", "idle", "refused", "started",
                                            "memory.samples", "memory.added"));
}

// Tolerance 1e-5 of the largest score, float32 on both sides.
TEST(DncHead, MatchesTheReleasedHead) {
  const auto golden = Golden::load("dnc.txt");
  const std::string at = "released_checkpoint/";
  Options options;
  options.embedding_norm = options.score_norm = DncHead::Norm::kLayerNorm;
  const auto shape = golden[at + "state/prototypes"].sizes().vec();
  auto head = make_dnc(options, shape[0], shape[2]);
  const torch::NoGradGuard no_grad;
  auto parameters = head->named_parameters();
  auto buffers = head->named_buffers();
  for (const auto& key : golden.names(at + "state/")) {
    ASSERT_TRUE(parameters.contains(key) || buffers.contains(key)) << key;
    (parameters.contains(key) ? parameters : buffers)[key].copy_(golden[at + "state/" + key]);
  }
  const auto scores = head->forward(golden[at + "x"].to(torch::kFloat));
  EXPECT_TRUE(is_close(scores, golden[at + "scores"], 1e-5));
  EXPECT_TRUE(is_close(scores.softmax(1), golden[at + "shares"], 1e-5));
}

TEST(DncHead, AbsentClassesKeepTheirBits) {
  for (const int64_t classes : {9, 300}) {  // fewer and more than samples
    auto options = all_state();
    options.start = DncHead::Start::kNoise;
    auto head = make_dnc(options, classes, 12);
    for (int step = 0; step < 6; ++step) {
      const auto before = state_copy(*head);
      const auto labels = at::randint(2, {64}, torch::kLong) * 3 + step % 3;
      update(*head, at::randn({64, 12}), labels);
      auto absent = at::ones({classes}, torch::kBool).index_fill_(0, labels, false);
      for (const auto& [name, tensor] : state_copy(*head)) {
        if (tensor.dim() == 0 || tensor.size(0) != classes) continue;
        EXPECT_TRUE(torch::equal(tensor.index({absent}), before.at(name).index({absent}))) << name;
      }
      EXPECT_FALSE(torch::equal(head->prototypes(), before.at("prototypes")));
    }
  }
}

TEST(DncHead, SubCentroidsKeepLengthOne) {
  auto head = make_dnc(all_state(), 20, 16);
  for (int step = 0; step < 30; ++step) {
    update(*head, at::randn({32, 16}) * 100, labels_up_to(20, 32, step));
  }
  EXPECT_LT((head->prototypes().norm(2, -1) - 1).abs().max().item<double>(), 1e-6);
}

// What the sub-centroids of a class get differs from equal parts by less than 1 %.
TEST(DncHead, DividesTenThousandSamplesIntoEqualParts) {
  torch::manual_seed(5);
  for (const int64_t classes : {1, 10, 100}) {
    for (const int64_t K : {2, 4, 10}) {
      for (const bool narrow : {false, true}) {  // the fewer dimensions, the slower it converges
        Options options;
        options.sub_centroids = K;
        if (narrow) options.sinkhorn.iterations = 20;
        const int64_t D = narrow ? 64 : 512;
        auto head = make_dnc(options, classes, D);
        const auto labels = at::arange(10000).remainder(classes);
        update(*head, at::randn({10000, D}), labels);
        EXPECT_LT(figure(*head, "marginal_deviation"), 0.01) << classes << " classes, K " << K;
        EXPECT_EQ(figure(*head, "dead"), 0);
        EXPECT_GT(figure(*head, "agreement"), 0.8);
        // The assignment takes whole samples where the plan has shares of them.
        EXPECT_LT((head->mass() * K - 1).abs().mean().item<double>(), 0.2);
      }
    }
  }
}

// The difference to `nearest`: samples that are all near one sub-centroid still go to all of them.
TEST(DncHead, KeepsAllSubCentroidsInUseWhereNearestLetsThemDie) {
  for (const bool equal_parts : {true, false}) {
    torch::manual_seed(7);
    Options options;
    options.patience = 5;
    if (!equal_parts) options.assignment = DncHead::Assignment::kNearest;
    auto head = make_dnc(options, 3, 32);
    const auto middle = head->prototypes().select(1, 0) * 2;
    for (int step = 0; step < 10; ++step) {
      const auto labels = at::arange(300).remainder(3);
      update(*head, middle.index_select(0, labels) + at::randn({300, 32}) * 0.1, labels);
    }
    EXPECT_EQ(figure(*head, "dead"), equal_parts ? 0 : 0.75);
    const auto mass = head->mass();
    EXPECT_EQ(mass.gt(0.15).sum().item<int64_t>(), equal_parts ? 12 : 3) << mass;
  }
}

TEST(DncHead, RevivesASubCentroidThatGetsNothing) {
  Options options;
  options.assignment = DncHead::Assignment::kNearest;
  options.revive = DncHead::Revive::kResample;
  options.patience = 3;
  auto head = make_dnc(options, 2, 16);
  const auto middle = head->prototypes().select(1, 0) * 2;
  for (int step = 0; step < 40; ++step) {
    const auto labels = at::arange(100).remainder(2);
    update(*head, middle.index_select(0, labels) + at::randn({100, 16}) * 0.3, labels);
  }
  EXPECT_LE(figure(*head, "dead"), 0.25);  // 0.75 without, as above; at most one a class waits
  EXPECT_TRUE(head->mass().gt(0).all().item<bool>()) << head->mass();
}

TEST(DncHead, TwoRanksGiveTheBitsOfOne) {
  for (const int64_t classes : {5, 400}) {
    torch::manual_seed(9);
    auto alone = make_dnc(all_state(), classes, 12);
    const auto start = state_copy(*alone);
    std::vector<std::shared_ptr<DncHead>> ranks;
    for (int rank = 0; rank < 2; ++rank) {
      ranks.push_back(make_dnc(all_state(), classes, 12));
      const torch::NoGradGuard no_grad;
      for (auto& item : ranks.back()->named_buffers()) item->copy_(start.at(item.key()));
    }
    Threads threads(2);
    for (int64_t step = 0; step < 5; ++step) {
      auto x = at::randn({32, 12});
      x[3][2] = std::numeric_limits<float>::infinity();
      const auto labels =
          labels_up_to(std::min<int64_t>(classes, 6), 32, step) - int64_t{step == 2};
      update(*alone, x, labels);
      std::vector<std::thread> running;
      for (int64_t rank = 0; rank < 2; ++rank) {
        running.emplace_back([&, rank] {
          Threads::Rank communicator(threads, rank);
          auto& head = *ranks[rank];
          head.update(make_step(head, x.narrow(0, rank * 16, 16), labels.narrow(0, rank * 16, 16)),
                      communicator);
        });
      }
      for (auto& thread : running) thread.join();
      EXPECT_TRUE(same_state(state_copy(*ranks[0]), state_copy(*alone))) << "step " << step;
      EXPECT_TRUE(same_state(state_copy(*ranks[1]), state_copy(*alone))) << "step " << step;
    }
  }
}

TEST(DncHead, GoesOnFromItsStateAlone) {
  auto head = make_dnc(all_state(), 6, 12);
  const auto batch = [](int64_t step) {
    torch::manual_seed(100 + step);
    return std::make_pair(at::randn({24, 12}), at::randint(6, {24}, torch::kLong));
  };
  for (int64_t step = 0; step < 4; ++step) update(*head, batch(step).first, batch(step).second);
  auto resumed = make_dnc(all_state(), 6, 12);
  {
    const torch::NoGradGuard no_grad;
    const auto state = state_copy(*head);
    for (auto& item : resumed->named_parameters()) item->copy_(state.at(item.key()));
    for (auto& item : resumed->named_buffers()) item->copy_(state.at(item.key()));
  }
  for (int64_t step = 4; step < 9; ++step) {
    update(*head, batch(step).first, batch(step).second);
    update(*resumed, batch(step).first, batch(step).second);
    EXPECT_TRUE(same_state(state_copy(*head), state_copy(*resumed)));
  }
}

TEST(DncHead, LeavesOutAndCountsWhatIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    auto options = all_state();
    options.embedding_norm = options.score_norm = DncHead::Norm::kNone;
    torch::manual_seed(11);
    auto head = make_dnc(options, 4, 8);
    torch::manual_seed(11);
    auto other = make_dnc(options, 4, 8);
    auto x = at::randn({12, 8});
    const auto labels = labels_up_to(4, 12, 12);
    auto without = labels.clone();
    for (const int64_t row : {2, 7}) {
      x[row][3] = bad;
      without[row] = kIgnoredLabel;
    }
    EXPECT_TRUE(head->forward(x)[2].isnan().all().item<bool>());
    EXPECT_TRUE(head->forward(x)[3].isfinite().all().item<bool>());
    update(*head, x, labels);
    update(*other, x.nan_to_num(), without);
    EXPECT_EQ(figure(*head, "refused"), 2);
    EXPECT_EQ(figure(*other, "refused"), 0);
    auto state = state_copy(*head);
    state["refused"].zero_();
    EXPECT_TRUE(same_state(state, state_copy(*other)));
  }
}

TEST(DncHead, ABatchWithoutLabelsChangesNothing) {
  auto options = all_state();
  options.ppc = options.ppd = 1;
  auto head = make_dnc(options, 4, 8);
  update(*head, at::randn({12, 8}), labels_up_to(4, 12, 1));
  const auto before = state_copy(*head);
  const auto x = at::randn({5, 8}).requires_grad_();
  update(*head, x, at::full({5}, kIgnoredLabel));
  update(*head, at::randn({0, 8}), at::zeros({0}, torch::kLong));
  EXPECT_TRUE(same_state(state_copy(*head), before));
  EXPECT_EQ(head->forward(at::randn({0, 8})).sizes(), (std::vector<int64_t>{0, 4}));
  Losses losses;
  head->add_losses(make_step(*head, x, at::full({5}, kIgnoredLabel)), losses);
  for (const auto& [name, loss] : losses) EXPECT_EQ(loss.item<double>(), 0) << name;
}

TEST(DncHead, MixedSamplesCountForTheirDominantClassOrNotAtAll) {
  const auto labels = torch::tensor({0, 1, 2, 3, 0, 1}, torch::kInt64);
  auto soft = torch::one_hot(labels, 4).to(torch::kFloat32);
  soft[1] = torch::tensor({0.0, 0.6, 0.4, 0.0});
  soft[4] = torch::tensor({0.7, 0.0, 0.0, 0.3});
  auto unmixed = labels.clone();
  unmixed[1] = unmixed[4] = kIgnoredLabel;
  const auto x = at::randn({6, 8});
  for (const auto mixed : {DncHead::Mixed::kDominant, DncHead::Mixed::kSkip}) {
    auto options = all_state();
    options.ppc = options.ppd = 1;
    options.mixed = mixed;
    torch::manual_seed(1);
    auto head = make_dnc(options, 4, 8);
    torch::manual_seed(1);
    auto other = make_dnc(options, 4, 8);
    SingleProcess alone;
    auto with_soft = make_step(*head, x, labels);
    with_soft.soft_labels = soft;
    const auto plain = make_step(*other, x, mixed == DncHead::Mixed::kSkip ? unmixed : labels);
    Losses losses, expected;
    head->add_losses(with_soft, losses);
    other->add_losses(plain, expected);
    for (size_t i = 0; i < losses.size(); ++i) {
      EXPECT_TRUE(torch::equal(losses[i].second, expected.at(i).second)) << losses[i].first;
    }
    head->update(with_soft, alone);
    other->update(plain, alone);
    EXPECT_TRUE(same_state(state_copy(*head), state_copy(*other)));
    EXPECT_TRUE(torch::equal(head->assignment(), other->assignment()));
    const bool skips = head->assignment()[1].item<int64_t>() == -1;
    EXPECT_EQ(skips, mixed == DncHead::Mixed::kSkip);
  }
}

TEST(DncHead, WithAssignmentNoneTheSubCentroidsStayRandom) {
  Options options;
  options.assignment = DncHead::Assignment::kNone;
  auto head = make_dnc(options, 4, 8);
  const auto before = state_copy(*head);
  update(*head, at::randn({12, 8}), labels_up_to(4, 12, 1));
  EXPECT_TRUE(same_state(state_copy(*head), before));
}

TEST(DncHead, StartsFromTheFirstSamplesOfEachClass) {
  Options options;
  options.momentum = 1;  // so that only the start moves anything
  options.sub_centroids = 2;
  options.start = DncHead::Start::kData;
  auto head = make_dnc(options, 3, 4);
  const auto noise = head->prototypes();
  const auto x = at::randn({4, 4});
  update(*head, x, torch::tensor({2, 0, 2, 2}));
  const auto points = head->project(x);
  const auto got = head->prototypes();
  EXPECT_TRUE(is_close(got[2][0], points[0], 1e-6));
  EXPECT_TRUE(is_close(got[2][1], points[2], 1e-6));
  EXPECT_TRUE(is_close(got[0][0], points[1], 1e-6));
  EXPECT_TRUE(torch::equal(got[0][1], noise[0][1]));
  EXPECT_TRUE(torch::equal(got[1], noise[1]));
}

TEST(DncHead, AnswersAsPrototypes) {
  auto head = make_dnc({}, 3, 8);
  const Prototypes* prototypes = dynamic_cast<Prototypes*>(static_cast<Head*>(head.get()));
  ASSERT_NE(prototypes, nullptr);
  EXPECT_EQ(prototypes->mass().sum().item<double>(), 0);
  update(*head, at::randn({40, 8}), labels_up_to(2, 40, 4));
  const auto sums = prototypes->mass().sum(1);
  EXPECT_TRUE(is_close(sums, torch::tensor({1., 1., 0.}), 1e-6));

  const auto before = head->prototypes();
  const auto points = head->project(at::randn({2, 8}));
  EXPECT_TRUE(is_close(points.norm(2, 1), at::ones({2}), 1e-6));
  head->set_prototypes(torch::tensor({2, 0}), torch::tensor({1, 3}), points);
  auto expected = before.clone();
  expected[2][1] = points[0];
  expected[0][3] = points[1];
  EXPECT_TRUE(is_close(head->prototypes(), expected, 1e-6));
}

TEST(DncHead, ReportsOnTheLastUpdate) {
  auto head = make_dnc({}, 3, 8);
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& [name, value] : head->figures()) found.push_back(name);
    return found;
  };
  EXPECT_FALSE(head->assignment().defined());
  EXPECT_THAT(names(), ElementsAre("dead", "refused"));
  const auto labels = torch::tensor({0L, 1L, kIgnoredLabel, 1L, 1L});
  update(*head, at::randn({5, 8}), labels);
  EXPECT_THAT(names(), ElementsAre("dead", "refused", "agreement", "marginal_deviation"));
  EXPECT_TRUE(torch::equal(head->assignment().lt(0), labels.lt(0)));
}

/// Bytes of tensors that this thread holds.
class Memory : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override { now += size; }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t now = 0;
};

TEST(DncHead, HoldsTheSameMemoryAfterEachStep) {
  auto head = make_dnc(all_state(), 30, 16);
  const auto memory = std::make_shared<Memory>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, memory);
  int64_t held = 0;
  for (int step = 0; step < 12; ++step) {
    const auto x = at::randn({40, 16}).requires_grad_();
    const auto scores = head->forward(x);
    const auto labels = labels_up_to(30, 40, step);
    at::cross_entropy_loss(scores, labels).backward();
    SingleProcess alone;
    head->update({x.detach(), scores.detach(), labels, step}, alone);
    if (step == 1) held = memory->now;
    if (step > 1) {
      EXPECT_EQ(memory->now, held) << "step " << step;
    }
  }
}

// A cost that grew with the classes would be thousands of times higher for the second head.
// Of this thread alone: other programs do not lengthen it.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

TEST(DncHead, UpdateCostsNothingForAbsentClasses) {
  const auto seconds = [](int64_t classes) {
    auto head = make_dnc({}, classes, 2);
    const auto step = make_step(*head, at::randn({4, 2}), torch::tensor({7, 3, 90, 7}));
    SingleProcess alone;
    double best = 1e9;
    for (int i = 0; i < 20; ++i) {
      const auto start = thread_seconds();
      head->update(step, alone);
      best = std::min(best, thread_seconds() - start);
    }
    return best;
  };
  EXPECT_LT(seconds(1000000), 10 * seconds(100));
}

}  // namespace
}  // namespace dnc
