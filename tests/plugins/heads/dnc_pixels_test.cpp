// The head on maps of pixels, and the picking of some of them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "plugins/heads/dnc/dnc_head.h"
#include "plugins/heads/dnc/sampling.h"
#include "tests/golden/golden.h"
#include "tests/plugins/component.h"
#include "tests/plugins/heads/dnc_testing.h"

namespace dnc {
namespace {

using Options = DncHead::Options;

TEST(PickOfEachClass, PicksAsManyAsThereAreUpToTheLimit) {
  torch::manual_seed(1);
  const auto labels = at::randint(-2, 5, {400}, torch::kLong);  // of classes 5 and 6 there is none
  const auto counts = at::bincount(labels.masked_select(labels.ge(0)), {}, 7);
  for (const int64_t limit : {1, 7, 50, 1000}) {
    const auto places = pick_of_each_class(labels, 7, limit, 3);
    EXPECT_EQ(places.size(0), std::min<int64_t>(400, 7 * limit));
    const auto picked = places.masked_select(places.ge(0));
    EXPECT_EQ(std::get<0>(at::_unique(picked)).size(0), picked.size(0));  // none twice
    // Those that are missing are at the end.
    EXPECT_TRUE(places.narrow(0, 0, picked.size(0)).ge(0).all().item<bool>());
    const auto of_class = at::bincount(labels.index_select(0, picked), {}, 7);
    EXPECT_TRUE(torch::equal(of_class, counts.clamp_max(limit))) << of_class << counts;
  }
}

TEST(PickOfEachClass, GivesEachSampleTheSameChance) {
  const auto labels = at::zeros({40}, torch::kLong);
  auto taken = at::zeros({40}, torch::kLong);
  constexpr int64_t kDraws = 4000;
  for (int64_t seed = 0; seed < kDraws; ++seed) {
    const auto places = pick_of_each_class(labels, 1, 10, static_cast<uint64_t>(seed));
    taken.index_add_(0, places, at::ones({10}, torch::kLong));
  }
  // A quarter of the draws each; the standard deviation is 27.
  EXPECT_LT((taken - kDraws / 4).abs().max().item<int64_t>(), 130) << taken;
}

TEST(PickOfEachClass, DependsOnTheSeedAlone) {
  const auto labels = at::arange(900).remainder(3);
  const auto first = pick_of_each_class(labels, 3, 20, 7);
  EXPECT_TRUE(torch::equal(first, pick_of_each_class(labels, 3, 20, 7)));
  for (const uint64_t other : {8ull, 7ull + (1ull << 40), 7ull + (1ull << 63)}) {
    EXPECT_FALSE(torch::equal(first, pick_of_each_class(labels, 3, 20, other)));
  }
}

TEST(PickOfEachClass, WorksWithNothingToPick) {
  EXPECT_EQ(pick_of_each_class(at::zeros({0}, torch::kLong), 3, 5, 1).size(0), 0);
  const auto none = pick_of_each_class(at::full({4}, -1), 3, 5, 1);
  EXPECT_TRUE(torch::equal(none, at::full({4}, -1)));
  EXPECT_THROW(pick_of_each_class(torch::tensor({3L}), 3, 5, 1), c10::Error);
}

Options pixel_options() {
  Options options;
  options.sub_centroids = 10;
  options.momentum = 0.9;
  options.ppc = 0.01;
  options.ppd = 0.001;
  return options;
}

/// Scores, losses, their gradient and the state after an update.
struct Outcome {
  torch::Tensor scores, gradient;
  Losses losses;
  std::map<std::string, torch::Tensor> state;
};

Outcome run(DncHead& head, const torch::Tensor& x, const torch::Tensor& labels) {
  Outcome outcome;
  const auto leaf = x.detach().requires_grad_();
  HeadStep step{leaf, head.forward(leaf), labels, 3};
  outcome.scores = step.scores.detach();
  head.add_losses(step, outcome.losses);
  auto total = step.scores.mean();
  for (const auto& [name, loss] : outcome.losses) total = total + loss;
  total.backward();
  outcome.gradient = leaf.grad();
  update(head, x, labels);
  outcome.state = state_copy(head);
  return outcome;
}

bool all_finite(const Outcome& outcome) {
  bool finite = outcome.scores.isfinite().all().item<bool>() &&
                outcome.gradient.isfinite().all().item<bool>();
  for (const auto& [name, loss] : outcome.losses) finite = finite && loss.isfinite().item<bool>();
  for (const auto& [name, tensor] : outcome.state) {
    finite = finite && tensor.isfinite().all().item<bool>();
  }
  return finite;
}

/// Options with and without picking and memory.
std::vector<Options> pixel_cases() {
  std::vector<Options> cases;
  for (const int64_t samples : {0, 6}) {
    for (const int64_t memory : {0, 5}) {
      cases.push_back(pixel_options());
      cases.back().samples_per_class = samples;
      cases.back().memory = memory;
    }
  }
  return cases;
}

TEST(DncPixels, TakesLabelsOfAnySizeByTheNearest) {
  for (const auto& options : pixel_cases()) {
    torch::manual_seed(1);
    auto head = make_dnc(options, 20, 8);
    torch::manual_seed(1);
    auto other = make_dnc(options, 20, 8);
    const auto x = at::randn({2, 8, 6, 5});
    const auto labels = at::randint(-1, 20, {2, 6, 5}, torch::kLong);
    // Four times as high and wide: of each 4 x 4, nearest takes the first.
    auto large = at::full({2, 24, 20}, -1, torch::kLong);
    large.slice(1, 0, 24, 4).slice(2, 0, 20, 4).copy_(labels);
    const auto expected = run(*head, x, labels);
    const auto got = run(*other, x, large);
    EXPECT_TRUE(same_state(got.state, expected.state));
    EXPECT_TRUE(torch::equal(got.gradient, expected.gradient));
  }
}

TEST(DncPixels, GivesTheSameInBothLayouts) {
  for (const auto& options : pixel_cases()) {
    torch::manual_seed(2);
    auto head = make_dnc(options, 20, 8);
    torch::manual_seed(2);
    auto other = make_dnc(options, 20, 8);
    const auto x = at::randn({2, 8, 16, 9});
    const auto labels = at::randint(-1, 20, {2, 16, 9}, torch::kLong);
    const auto expected = run(*head, x, labels);
    const auto got = run(*other, x.contiguous(at::MemoryFormat::ChannelsLast), labels);
    EXPECT_TRUE(is_close(got.scores, expected.scores, 1e-6));
    EXPECT_TRUE(is_close(got.gradient, expected.gradient, 1e-5));
    EXPECT_TRUE(is_close(got.state.at("prototypes"), expected.state.at("prototypes"), 1e-6));
    EXPECT_TRUE(torch::equal(head->assignment(), other->assignment()));
  }
}

TEST(DncPixels, WithoutLabelsNothingMovesAndNoLossPulls) {
  for (const auto& options : pixel_cases()) {
    auto head = make_dnc(options, 5, 8);
    update(*head, at::randn({2, 8, 4, 4}), at::randint(5, {2, 4, 4}, torch::kLong));
    const auto before = state_copy(*head);
    const auto x = at::randn({2, 8, 4, 4}).requires_grad_();
    const auto labels = at::full({2, 8, 8}, kIgnoredLabel);
    Losses losses;
    head->add_losses(make_step(*head, x, labels), losses);
    ASSERT_EQ(losses.size(), 2u);
    for (const auto& [name, loss] : losses) EXPECT_EQ(loss.item<double>(), 0) << name;
    (losses[0].second + losses[1].second).backward();
    EXPECT_TRUE(torch::equal(x.grad(), at::zeros_like(x)));
    update(*head, x.detach(), labels);
    EXPECT_TRUE(same_state(state_copy(*head), before));
    EXPECT_TRUE(head->assignment().lt(0).all().item<bool>());
  }
}

// Also a class in all, and classes with fewer pixels than sub-centroids, one of them with one.
TEST(DncPixels, WorksWithOneClassAbsentClassesAndFewPixelsOfAClass) {
  for (const auto& options : pixel_cases()) {
    auto only = make_dnc(options, 1, 8);
    EXPECT_TRUE(
        all_finite(run(*only, at::randn({2, 8, 4, 4}), at::zeros({2, 4, 4}, torch::kLong))));

    auto head = make_dnc(options, 60, 8);
    const auto before = head->prototypes();
    auto labels = at::full({2, 4, 4}, 7, torch::kLong);
    labels[1][2][3] = 9;
    labels[0][0].fill_(59);  // four pixels, ten sub-centroids
    EXPECT_TRUE(all_finite(run(*head, at::randn({2, 8, 4, 4}), labels)));
    const auto moved = (head->prototypes() - before).abs().sum(2).gt(0).sum(1);  // of each class
    EXPECT_EQ(moved[9].item<int64_t>(), 1);
    EXPECT_THAT(moved[59].item<int64_t>(), testing::AllOf(testing::Ge(1), testing::Le(4)));
    EXPECT_EQ(moved.gt(0).sum().item<int64_t>(), 3);
  }
}

TEST(DncPixels, TakesNumbersOfSamplesFromZeroOn) {
  const auto error = [](const std::string& value) {
    return build_error<Head, DncHead>("type: T\nsamples_per_class: " + value + "\n",
                                      dnc_context(3, 4));
  };
  EXPECT_EQ(error("0"), "");
  EXPECT_EQ(error("500"), "");
  EXPECT_EQ(error("-1"), "test.yaml:2:20: 'samples_per_class' must be at least 0, not -1");
}

TEST(DncPixels, RefusesLabelsBeyondTheClasses) {
  for (const auto& options : pixel_cases()) {
    auto head = make_dnc(options, 4, 8);
    const auto labels = at::full({1, 2, 2}, 4, torch::kLong);
    EXPECT_THROW(update(*head, at::randn({1, 8, 2, 2}), labels), c10::Error);
  }
}

TEST(DncPixels, PickingMoreThanThereAreIsPickingAll) {
  auto options = pixel_options();
  torch::manual_seed(3);
  auto all = make_dnc(options, 6, 8);
  options.samples_per_class = 1000;
  torch::manual_seed(3);
  auto picked = make_dnc(options, 6, 8);
  const auto x = at::randn({2, 8, 8, 8});
  const auto labels = at::randint(-1, 6, {2, 8, 8}, torch::kLong);
  const auto expected = run(*all, x, labels), got = run(*picked, x, labels);
  EXPECT_TRUE(is_close(got.gradient, expected.gradient, 1e-5));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(is_close(got.losses[i].second, expected.losses[i].second, 1e-5));
  }
  EXPECT_TRUE(is_close(got.state.at("prototypes"), expected.state.at("prototypes"), 1e-6));
  EXPECT_TRUE(torch::equal(got.state.at("mass"), expected.state.at("mass")));
  EXPECT_TRUE(torch::equal(picked->assignment(), all->assignment()));
}

TEST(DncPixels, ThePickedPixelsAloneTakePart) {
  auto options = pixel_options();
  options.samples_per_class = 6;
  auto head = make_dnc(options, 5, 8);
  const auto labels = at::randint(5, {2, 8, 8}, torch::kLong);
  const auto outcome = run(*head, at::randn({2, 8, 8, 8}), labels);
  const auto assigned = head->assignment();
  ASSERT_EQ(assigned.size(0), 128);
  const auto taking_part = labels.flatten().masked_select(assigned.ge(0));
  EXPECT_TRUE(torch::equal(at::bincount(taking_part, {}, 5), at::full({5}, 6)));
  EXPECT_EQ(outcome.state.at("mass").sum().item<double>(), 30);

  // The losses are the means over 30 other pixels; these alone have a gradient.
  const auto x = at::randn({2, 8, 8, 8}).requires_grad_();
  Losses losses;
  head->add_losses(make_step(*head, x, labels), losses);
  losses[0].second.backward();
  EXPECT_EQ(x.grad().abs().sum(1).gt(0).sum().item<int64_t>(), 30);
}

TEST(DncPixels, OtherPixelsArePickedInTheNextStepAndTheSameOnesInARepetition) {
  auto options = pixel_options();
  options.samples_per_class = 6;
  auto head = make_dnc(options, 5, 8);
  const auto x = at::randn({2, 8, 8, 8});
  const auto labels = at::randint(5, {2, 8, 8}, torch::kLong);
  const auto picked = [&](int64_t step) {
    SingleProcess alone;
    auto batch = make_step(*head, x, labels);
    batch.step = step;
    at::rand({step + 1});  // whatever the generator has drawn
    head->update(batch, alone);
    return head->assignment().ge(0);
  };
  const auto first = picked(0);
  EXPECT_TRUE(torch::equal(picked(0), first));
  EXPECT_FALSE(torch::equal(picked(1), first));
}

TEST(DncPixels, TwoRanksPickAsOneProcessWould) {
  for (const int64_t samples : {6, 40}) {  // fewer and more than there are of most classes
    auto options = pixel_options();
    options.samples_per_class = samples;
    options.memory = 4;
    torch::manual_seed(4);
    auto alone = make_dnc(options, 5, 8);
    std::vector<std::shared_ptr<DncHead>> ranks;
    for (int rank = 0; rank < 2; ++rank) {
      torch::manual_seed(4);
      ranks.push_back(make_dnc(options, 5, 8));
    }
    Threads threads(2);
    for (int64_t step = 0; step < 3; ++step) {
      auto x = at::randn({4, 8, 6, 6});
      x[1][2][3][4] = std::numeric_limits<float>::infinity();
      const auto labels = at::randint(-1, 5, {4, 6, 6}, torch::kLong);
      SingleProcess communicator;
      alone->update({x, {}, labels, step}, communicator);
      std::vector<std::thread> running;
      for (int64_t rank = 0; rank < 2; ++rank) {
        running.emplace_back([&, rank] {
          Threads::Rank own(threads, rank);
          ranks[rank]->update({x.narrow(0, 2 * rank, 2), {}, labels.narrow(0, 2 * rank, 2), step},
                              own);
        });
      }
      for (auto& thread : running) thread.join();
      for (const auto& head : ranks) {
        EXPECT_TRUE(same_state(state_copy(*head), state_copy(*alone)));
        EXPECT_TRUE(torch::equal(head->assignment(), alone->assignment()));
      }
    }
    EXPECT_GT(figure(*alone, "refused"), 0);
  }
}

TEST(DncPixels, PicksAmongTheCorrectlyClassified) {
  auto options = pixel_options();
  options.samples = DncHead::Samples::kCorrect;
  options.samples_per_class = 3;
  auto head = make_dnc(options, 5, 8);
  const auto x = at::randn({2, 8, 8, 8});
  const auto labels = at::randint(5, {2, 8, 8}, torch::kLong);
  const auto step = make_step(*head, x, labels);
  update(*head, x, labels);
  const auto correct = step.scores.argmax(1).eq(labels).flatten();
  const auto taken = head->assignment().ge(0);
  EXPECT_GT(taken.sum().item<int64_t>(), 0);
  EXPECT_FALSE(taken.logical_and(correct.logical_not()).any().item<bool>());
}

}  // namespace
}  // namespace dnc
