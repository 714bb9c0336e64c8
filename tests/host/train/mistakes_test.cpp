#include "host/train/mistakes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "registry/head.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Batch batch_of(const std::vector<int64_t>& labels, std::vector<int64_t> indices) {
  Batch batch;
  batch.labels = torch::tensor(labels);
  batch.indices = std::move(indices);
  return batch;
}

Model::Output scores(const torch::Tensor& scores) {
  Model::Output output;
  output.scores = scores;
  return output;
}

TEST(Mistakes, AreTheSamplesThatAreTakenForAnotherClass) {
  report::WorstMistakes mistakes(5);
  const double log3 = std::log(3.0);
  add_mistakes(mistakes, batch_of({0, 1, kIgnoredLabel}, {7, 8, 9}),
               scores(torch::tensor({{0.0, log3}, {0.0, log3}, {log3, 0.0}}, torch::kFloat64)));
  EXPECT_EQ(mistakes.count(), 1) << "one is right, one has no label";
  const auto found = mistakes.sorted();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].index, 7);
  EXPECT_EQ(found[0].label, 0);
  EXPECT_EQ(found[0].prediction, 1);
  EXPECT_NEAR(found[0].score, 0.75, 1e-12);
  EXPECT_NEAR(found[0].label_score, 0.25, 1e-12);
}

/// Two ranks, of which this is the first; the other one's tensor is given.
class TwoRanks final : public Communicator {
 public:
  explicit TwoRanks(torch::Tensor other) : other_(std::move(other)) {}
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 2; }
  void sum(const std::vector<torch::Tensor>&) override { FAIL() << "is not used"; }
  torch::Tensor gather(const torch::Tensor& tensor) override {
    own = tensor.clone();
    return torch::cat({tensor, other_});
  }
  torch::Tensor own;

 private:
  torch::Tensor other_;
};

TEST(Mistakes, OfAllRanksAreTheWorstOfAll) {
  report::WorstMistakes own(2), other(2);
  own.add({1, 0, 1, 0.9, 0.1});
  own.add({2, 0, 1, 0.5, 0.5});
  own.add({3, 1, 0, 0.6, 0.4});
  other.add({4, 1, 0, 0.7, 0.3});

  TwoRanks none(torch::zeros({0, 5}, torch::kFloat64));
  gather_mistakes(other, none, torch::kCPU);  // what the other rank would send
  TwoRanks both(none.own);
  const auto all = gather_mistakes(own, both, torch::kCPU);
  EXPECT_EQ(all.count(), 4);
  std::vector<int64_t> indices;
  for (const auto& mistake : all.sorted()) indices.push_back(mistake.index);
  EXPECT_THAT(indices, ElementsAre(1, 4));
  EXPECT_EQ(all.sorted()[1].label_score, 0.3);
}

TEST(Mistakes, OfOneRankStayAsTheyAre) {
  report::WorstMistakes own(3);
  own.add({1, 0, 1, 0.9, 0.1});
  SingleProcess alone;
  const auto all = gather_mistakes(own, alone, torch::kCPU);
  EXPECT_EQ(all.count(), 1);
  ASSERT_THAT(all.sorted(), SizeIs(1));
  EXPECT_EQ(all.sorted()[0].prediction, 1);
}

}  // namespace
}  // namespace dnc
