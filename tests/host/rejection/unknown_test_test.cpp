#include "host/rejection/unknown_test.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "host/rejection/separation.h"
#include "registry/error.h"
#include "tests/frozen_testing.h"
#include "tests/host/explain/prototype_head.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

// Embeddings as scores.
struct AsScores final : Head {
  torch::Tensor forward(const torch::Tensor& embeddings) override { return embeddings; }
};

Batch batch_of(int64_t size, int64_t first = 0) {
  Batch batch;
  batch.images = torch::zeros({size, 3, 1, 2}, torch::kUInt8);
  batch.labels = torch::zeros({size}, torch::kLong);
  for (int64_t i = 0; i < size; ++i) batch.indices.push_back(first + i);
  return batch;
}

TEST(Confidence, IsSimilarityProbabilityAndEnergy) {
  const auto head = std::make_shared<PrototypeHead>(unit_points({4, 3, 6}));
  auto model = pixel_model(head);
  const auto names = confidence_scores(model);
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0].name, "similarity");
  const auto embeddings = torch::randn({5, 6});
  const auto scores = head->forward(embeddings);
  const auto found = confidences(model, {embeddings, scores});
  ASSERT_EQ(found.sizes(), (std::vector<int64_t>{3, 5}));
  for (int64_t i = 0; i < 5; ++i) {
    double nearest = -1, largest = 0, sum = 0;
    for (int64_t c = 0; c < 4; ++c) {
      const double score = scores[i][c].item<double>();
      sum += std::exp(score);
      largest = std::max(largest, std::exp(score));
      for (int64_t k = 0; k < 3; ++k) {
        const auto cosine = head->points[c][k].dot(embeddings[i]) / embeddings[i].norm();
        nearest = std::max(nearest, cosine.item<double>());
      }
    }
    EXPECT_NEAR(found[0][i].item<double>(), nearest, 1e-6);
    EXPECT_NEAR(found[1][i].item<double>(), largest / sum, 1e-6);
    EXPECT_NEAR(found[2][i].item<double>(), std::log(sum), 1e-6);
  }
}

TEST(Confidence, WithoutPrototypesHasNoSimilarity) {
  auto model = pixel_model(std::make_shared<AsScores>());
  ASSERT_EQ(confidence_scores(model).size(), 2u);
  EXPECT_EQ(confidence_scores(model)[0].name, "probability");
  // Shares that round to 1 in float32 still differ.
  const auto scores = torch::tensor({{30.0, 0.0}, {25.0, 0.0}});
  const auto found = confidences(model, {scores, scores});
  EXPECT_GT(found[0][0].item<double>(), found[0][1].item<double>());
}

class UnknownTests : public testing::Test {
 protected:
  UnknownTests() : dataset_(100, 2), model_(pixel_model(std::make_shared<AsScores>())) {}
  static Model::Output output(const torch::Tensor& scores) { return {scores, scores}; }

  PixelDataset dataset_;
  Model model_;
};

TEST_F(UnknownTests, ComparesKnownImagesWithUnknownOnes) {
  UnknownTest test(model_);
  auto known = batch_of(3);
  known.labels[1] = kIgnoredLabel;
  test.add_known(dataset_, known, output(torch::tensor({{4.0, 0.0}, {0.0, 9.0}, {0.0, 5.0}})));
  test.add_unknown(dataset_, batch_of(2), output(torch::tensor({{1.0, 0.0}, {4.5, 0.0}})));
  const auto found = test.result({}, 0);
  ASSERT_EQ(found.size(), 2u);
  for (const auto& each : found) {
    EXPECT_EQ(each.known.size(), 2u) << "one has no label";
    EXPECT_EQ(each.auroc, 0.75);  // 4 < 4.5 of the four pairs
    EXPECT_EQ(each.fpr_at_95, 0.5);
    EXPECT_TRUE(each.is_useful);
    EXPECT_TRUE(each.thresholds.empty());
  }
  EXPECT_NEAR(found[1].known[0], std::log(std::exp(4) + 1), 1e-6);
}

TEST_F(UnknownTests, ThresholdsAreChosenOnOneHalfAndMeasuredOnTheOther) {
  UnknownTest test(model_);
  test.add_known(dataset_, batch_of(50), output(torch::randn({50, 2}) * 3));
  test.add_unknown(dataset_, batch_of(100), output(torch::randn({100, 2})));
  for (const auto& found : test.result({0.1, 0.4}, 7)) {
    const auto [first, second] = halves_of(found.unknown, 7);
    ASSERT_EQ(found.thresholds.size(), 2u);
    for (const auto& each : found.thresholds) {
      EXPECT_EQ(each.threshold, threshold_for(first, each.false_accept_rate));
      EXPECT_LE(accepted_share(first, each.threshold), each.false_accept_rate);
      EXPECT_EQ(each.measured, accepted_share(second, each.threshold));
      EXPECT_EQ(each.known_rejected, 1 - accepted_share(found.known, each.threshold));
    }
    EXPECT_GT(found.thresholds[0].threshold, found.thresholds[1].threshold);
  }
}

TEST_F(UnknownTests, HalvesShareNothingAndDependOnTheSeed) {
  std::vector<double> all;
  for (int i = 0; i < 101; ++i) all.push_back(i);
  const auto [first, second] = halves_of(all, 1);
  EXPECT_EQ(first.size(), 51u);
  auto both = first;
  both.insert(both.end(), second.begin(), second.end());
  std::ranges::sort(both);
  EXPECT_EQ(both, all);
  EXPECT_NE(halves_of(all, 2).first, first);
  EXPECT_EQ(halves_of(all, 1).first, first);
}

TEST_F(UnknownTests, AScoreThatIsTheSameForAllIsSaidToBeUseless) {
  UnknownTest test(model_);
  test.add_known(dataset_, batch_of(2), output(torch::zeros({2, 2})));
  test.add_unknown(dataset_, batch_of(2), output(torch::zeros({2, 2})));
  for (const auto& found : test.result({0.5}, 0)) {
    EXPECT_FALSE(found.is_useful);
    EXPECT_EQ(found.auroc, 0.5);
    EXPECT_TRUE(found.thresholds.empty());
  }
}

TEST_F(UnknownTests, NothingToCompareAndNaNAreErrors) {
  UnknownTest test(model_);
  const auto message = [&](const std::vector<double>& rates) {
    return message_of<DataError>([&] { test.result(rates, 0); });
  };
  EXPECT_EQ(message({}), "the known images have no labels");
  test.add_known(dataset_, batch_of(1), output(torch::zeros({1, 2})));
  EXPECT_EQ(message({}), "there are no unknown images");
  test.add_unknown(dataset_, batch_of(1), output(torch::ones({1, 2})));
  EXPECT_EQ(message({0.1}),
            "--far: needs two unknown images or more: a threshold is chosen on one half of them "
            "and measured on the other");
  auto scores = torch::zeros({2, 2});
  scores[1][0] = NAN;
  EXPECT_EQ(
      message_of<DataError>([&] { test.add_unknown(dataset_, batch_of(2, 40), output(scores)); }),
      "pixel #41: its probability is not finite; check the weights, model.preprocess and, "
      "with train.precision float16, the precision");
}

}  // namespace
}  // namespace dnc
