#include "host/train/step_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>

#include "registry/error.h"
#include "tests/host/train/fake_graph.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Its replay is what was recorded, whatever the inputs are now.
struct DeafGraph : FakeGraph {
  using FakeGraph::FakeGraph;
  void record(const std::function<void()>& work) override { work(); }
  void replay() override { calls_.emplace_back("replay"); }
};

struct RefusingGraph : FakeGraph {
  using FakeGraph::FakeGraph;
  void record(const std::function<void()>& work) override {
    work();  // up to what cannot be recorded
    TORCH_CHECK(false, "operation not permitted when stream is capturing\nmore");
  }
};

// loss = mean((x w + noise)^2); `seen` counts its passes as batch statistics would.
class StepGraphTest : public testing::Test {
 protected:
  StepGraphTest() {
    torch::manual_seed(5);
    weight_ = torch::randn({3}).requires_grad_();
    unused_ = torch::randn({2}).requires_grad_();
  }

  StepGraph::Parts parts(std::unique_ptr<DeviceGraph> graph) {
    StepGraph::Parts parts;
    parts.graph = std::move(graph);
    parts.pass = [this](const Batch& batch) { return pass(batch); };
    parts.parameters = {weight_, unused_};
    parts.statistics = {seen_};
    parts.log = [this](const std::string& text) { log_.push_back(text); };
    return parts;
  }
  template <typename Graph = FakeGraph>
  std::unique_ptr<Graph> graph() {
    return std::make_unique<Graph>(calls_);
  }

  Pass pass(const Batch& batch) {
    calls_.emplace_back("pass");
    weight_.mutable_grad().reset();
    const auto x = batch.images.flatten(1).matmul(weight_);
    const auto loss = (x + torch::rand({x.size(0)}) * noise_).square().mean();
    loss.backward();
    const torch::NoGradGuard no_grad;
    seen_.add_(1);
    Pass made;
    made.losses = {{"Square", loss.detach()}};
    made.embeddings = {x.detach()};
    made.scores = {x.detach()};
    made.has_losses_of_heads = losses_of_heads_;
    return made;
  }

  static Batch batch(int64_t step, int64_t size = 4) {
    Batch batch;
    batch.images = torch::full({size, 3, 1, 1}, static_cast<double>(step + 1));
    batch.labels = torch::arange(size);
    return batch;
  }
  // What `steps` steps by gradient descent give: the weight after each.
  std::vector<torch::Tensor> train(StepGraph& graph, int64_t steps) {
    std::vector<torch::Tensor> weights;
    for (int64_t step = 0; step < steps; ++step) take(graph, step, batch(step), weights);
    return weights;
  }
  void take(StepGraph& graph, int64_t step, const Batch& batch,
            std::vector<torch::Tensor>& weights) {
    const auto seed = [step] { torch::manual_seed(static_cast<uint64_t>(step)); };
    seed();
    graph.run(batch, seed);
    const torch::NoGradGuard no_grad;
    weight_.sub_(weight_.grad(), 1e-3);
    weights.push_back(weight_.detach().clone());
  }
  void restart() {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(5);
    weight_.copy_(torch::randn({3}));
    seen_.zero_();
    calls_.clear();
  }

  torch::Tensor weight_, unused_;
  torch::Tensor seen_ = torch::zeros({});
  double noise_ = 0.1;
  bool losses_of_heads_ = false;
  std::vector<std::string> calls_, log_;
};

TEST(StepGraph, SaysWhichStepsCannotBeReplayed) {
  EXPECT_EQ(reason_against_graph(torch::kCPU, 1), "the device is cpu, not a GPU");
  EXPECT_EQ(reason_against_graph(torch::Device("cuda:0"), 2),
            "there are 2 ranks, which add their gradients up during the backward pass");
  EXPECT_EQ(reason_against_graph(torch::Device("cuda:0"), 1), "");
}

TEST_F(StepGraphTest, WarmsUpRecordsChecksAndReplaysWithTheSameResult) {
  StepGraph plain(parts(nullptr));
  const auto expected = train(plain, 8);
  EXPECT_TRUE(log_.empty());

  restart();
  StepGraph replaying(parts(graph()));
  const auto weights = train(replaying, 8);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(torch::equal(weights[i], expected[i])) << "step " << i;
  }
  // The fake passes in each replay, so the check has two.
  EXPECT_THAT(calls_, ElementsAre("warm up", "pass", "warm up", "pass", "warm up", "pass",  //
                                  "record", "replay", "pass",                               //
                                  "replay", "pass", "pass",                                 //
                                  "replay", "pass", "replay", "pass", "replay", "pass"));
  EXPECT_THAT(log_, ElementsAre("train.cuda_graph: forward and backward passes are replayed from "
                                "now on"));
  EXPECT_EQ(seen_.item<double>(), 8) << "the replay of the check does not count";
  EXPECT_FALSE(unused_.grad().defined());
}

TEST_F(StepGraphTest, ABatchOfAnotherShapePassesAsItIs) {
  StepGraph replaying(parts(graph()));
  std::vector<torch::Tensor> weights;
  for (int64_t step = 0; step < 6; ++step) take(replaying, step, batch(step), weights);
  calls_.clear();
  take(replaying, 6, batch(6, 3), weights);
  EXPECT_THAT(calls_, ElementsAre("pass"));
  take(replaying, 7, batch(7), weights);
  EXPECT_THAT(calls_, ElementsAre("pass", "replay", "pass"));

  restart();
  StepGraph plain(parts(nullptr));
  std::vector<torch::Tensor> expected;
  for (int64_t step = 0; step < 8; ++step) {
    take(plain, step, batch(step, step == 6 ? 3 : 4), expected);
  }
  EXPECT_TRUE(torch::equal(weights.back(), expected.back()));
}

TEST_F(StepGraphTest, SoftLabelsAreInputsToo) {
  StepGraph replaying(parts(graph()));
  std::vector<torch::Tensor> weights;
  const auto mixed = [](int64_t step) {
    auto made = batch(step);
    made.soft_labels = torch::rand({4, 2});
    return made;
  };
  for (int64_t step = 0; step < 6; ++step) take(replaying, step, mixed(step), weights);
  calls_.clear();
  take(replaying, 6, batch(6), weights);
  EXPECT_THAT(calls_, ElementsAre("pass")) << "this one was not mixed";
}

TEST_F(StepGraphTest, BatchesThatAlwaysChangeAreNotRecorded) {
  StepGraph replaying(parts(graph()));
  std::vector<torch::Tensor> weights;
  for (int64_t step = 0; step < 12; ++step) take(replaying, step, batch(step, 2 + step), weights);
  EXPECT_THAT(calls_, testing::Not(testing::Contains("record")));
  EXPECT_THAT(log_, ElementsAre("train.cuda_graph: passes are not replayed: the size of the "
                                "batches changes all the time"));
}

TEST_F(StepGraphTest, HeadsWithLossesOfTheirOwnAreNotRecorded) {
  losses_of_heads_ = true;
  StepGraph replaying(parts(graph()));
  train(replaying, 6);
  EXPECT_THAT(calls_, testing::Not(testing::Contains("record")));
  EXPECT_THAT(log_, ElementsAre(HasSubstr("a head has losses of its own")));
}

TEST_F(StepGraphTest, WhatCannotBeRecordedIsLoggedAndTheStepIsMadeAsItIs) {
  StepGraph plain(parts(nullptr));
  const auto expected = train(plain, 6);
  restart();
  StepGraph replaying(parts(graph<RefusingGraph>()));
  EXPECT_TRUE(torch::equal(train(replaying, 6).back(), expected.back()));
  EXPECT_THAT(log_, ElementsAre("train.cuda_graph: passes are not replayed: recording failed: "
                                "operation not permitted when stream is capturing"));
}

TEST_F(StepGraphTest, AReplayThatIsNotThePassIsFoundOutBeforeItCounts) {
  noise_ = 0;
  StepGraph plain(parts(nullptr));
  const auto expected = train(plain, 8);
  restart();
  StepGraph replaying(parts(graph<DeafGraph>()));
  const auto weights = train(replaying, 8);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("the loss Square is ")));
  EXPECT_THAT(log_.back(), HasSubstr(" in a pass that was replayed, not "));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(torch::equal(weights[i], expected[i])) << "step " << i;
  }
}

TEST_F(StepGraphTest, GradientsThatDifferAreFoundOutToo) {
  struct Graph : FakeGraph {
    Graph(std::vector<std::string>& calls, torch::Tensor& weight)
        : FakeGraph(calls), weight_(weight) {}
    void replay() override {
      FakeGraph::replay();
      weight_.mutable_grad() = weight_.grad() * 1.2;
    }
    torch::Tensor& weight_;
  };
  StepGraph replaying(parts(std::make_unique<Graph>(calls_, weight_)));
  train(replaying, 6);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("gradients of length ")));
}

TEST_F(StepGraphTest, WhatOverflowsIsCheckedByTheNextBatch) {
  StepGraph replaying(parts(graph()));
  std::vector<torch::Tensor> weights;
  for (int64_t step = 0; step < 4; ++step) take(replaying, step, batch(step), weights);
  const auto before = weight_.detach().clone();
  auto huge = batch(4);
  huge.images.fill_(std::numeric_limits<float>::infinity());
  take(replaying, 4, huge, weights);
  EXPECT_TRUE(log_.empty());
  weight_.data().copy_(before);
  take(replaying, 5, batch(5), weights);
  EXPECT_THAT(log_, ElementsAre(HasSubstr("replayed from now on")));
}

TEST_F(StepGraphTest, ARequiredGraphThatCannotBeIsAnError) {
  auto required = parts(graph<RefusingGraph>());
  required.required = true;
  StepGraph replaying(std::move(required));
  EXPECT_EQ(
      message_of<Error>([&] { train(replaying, 6); }),
      "train.cuda_graph is 'on', but recording failed: operation not permitted when stream is "
      "capturing");
}

}  // namespace
}  // namespace dnc
