#include <gtest/gtest.h>

#include "plugins/heads/linear/network.h"
#include "tests/golden/golden.h"
#include "tests/plugins/component.h"
#include "tests/plugins/traced.h"

namespace dnc {
namespace {

Context context_of(int64_t channels, int64_t classes) {
  Context context;
  context.channels = channels;
  context.classes.names.resize(classes);
  return context;
}

TEST(LinearHead, ScoresAreWeightsTimesEmbeddingPlusBias) {
  LinearHead head({}, context_of(4, 3));
  auto parameters = head.named_parameters();
  ASSERT_EQ(parameters.keys(), (std::vector<std::string>{"fc.weight", "fc.bias"}));
  ASSERT_EQ(parameters["fc.weight"].sizes(), (std::vector<int64_t>{3, 4}));
  ASSERT_EQ(parameters["fc.bias"].sizes(), (std::vector<int64_t>{3}));
  parameters["fc.bias"].data().copy_(golden_values("fc.bias", {3}));
  const auto embeddings = golden_values("embeddings", {2, 4});
  const auto scores = head.forward(embeddings);
  ASSERT_EQ(scores.sizes(), (std::vector<int64_t>{2, 3}));
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t c = 0; c < 3; ++c) {
      double expected = parameters["fc.bias"][c].item<double>();
      for (int64_t d = 0; d < 4; ++d) {
        expected += parameters["fc.weight"][c][d].item<double>() * embeddings[n][d].item<double>();
      }
      EXPECT_NEAR(scores[n][c].item<double>(), expected, 1e-6);
    }
  }
}

TEST(LinearHead, ScoresEachPixelAsIfItWereAnImage) {
  LinearHead head({}, context_of(4, 3));
  head.named_parameters()["fc.bias"].data().fill_(0.5);
  const auto map = golden_values("map", {2, 4, 5, 6});
  for (const auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    const auto scores = head.forward(map.contiguous(format));
    ASSERT_EQ(scores.sizes(), (std::vector<int64_t>{2, 3, 5, 6}));
    EXPECT_TRUE(scores.is_contiguous(format));
    const auto pixels = map.permute({0, 2, 3, 1}).reshape({-1, 4});
    const auto expected = head.forward(pixels).reshape({2, 5, 6, 3}).permute({0, 3, 1, 2});
    EXPECT_TRUE(is_close(scores, expected, 1e-5));
  }
}

TEST(LinearHead, LearnsFromImagesAndPixels) {
  for (const auto& embeddings :
       {golden_values("embeddings", {2, 4}), golden_values("map", {2, 4, 5, 6})}) {
    LinearHead head({}, context_of(4, 3));
    head.forward(embeddings).sum().backward();
    const auto parameters = head.named_parameters();
    const auto by_channel = embeddings.transpose(0, 1).reshape({4, -1}).sum(1);
    EXPECT_TRUE(is_close(parameters["fc.weight"].grad(), by_channel.expand({3, 4}), 1e-5));
    const auto count = static_cast<double>(embeddings.numel() / 4);
    EXPECT_TRUE(is_close(parameters["fc.bias"].grad(), torch::full({3}, count), 1e-6));
  }
}

TEST(LinearHead, BeginsSmallAndWithoutBias) {
  torch::manual_seed(1);
  const LinearHead head({}, context_of(512, 100));
  const auto parameters = head.named_parameters();
  EXPECT_NEAR(parameters["fc.weight"].std().item<double>(), 0.01, 2e-4);
  EXPECT_NEAR(parameters["fc.weight"].mean().item<double>(), 0, 2e-4);
  EXPECT_TRUE((parameters["fc.bias"] == 0).all().item<bool>());
}

TEST(LinearHead, DropsValuesOfImagesAndChannelsOfPixelsInTrainingOnly) {
  torch::manual_seed(1);
  LinearHead head({.dropout = 0.5}, context_of(64, 64));
  auto weight = head.named_parameters()["fc.weight"].data();
  weight.copy_(torch::eye(64));  // the scores are what dropout left of the embeddings
  const auto scores = head.forward(torch::ones({50, 64}));
  EXPECT_TRUE(((scores == 0) | (scores == 2)).all().item<bool>());
  EXPECT_NEAR(scores.mean().item<double>(), 1, 0.1);
  const auto map = head.forward(torch::ones({50, 64, 2, 2}));
  EXPECT_TRUE(((map == 0) | (map == 2)).all().item<bool>());
  EXPECT_TRUE((map == map.select(2, 0).select(2, 0).unsqueeze(2).unsqueeze(3)).all().item<bool>());
  EXPECT_NEAR(map.mean().item<double>(), 1, 0.1);
  head.eval();
  EXPECT_TRUE((head.forward(torch::ones({50, 64})) == 1).all().item<bool>());
}

TEST(LinearHead, IsTracedForAnySize) {
  LinearHead head({}, context_of(4, 3));
  for (const auto& parameter : head.parameters()) parameter.requires_grad_(false);
  const auto forward = [&](const torch::Tensor& x) { return head.forward(x); };
  const auto images = golden_values("embeddings", {5, 4});
  EXPECT_TRUE(is_close(trace(forward, torch::zeros({1, 4}))(images), forward(images), 1e-6));
  const auto map = golden_values("map", {2, 4, 5, 6});
  EXPECT_TRUE(is_close(trace(forward, torch::zeros({1, 4, 2, 2}))(map), forward(map), 1e-6));
}

TEST(LinearHead, RefusesEmbeddingsOfAnotherSize) {
  LinearHead head({}, context_of(4, 3));
  EXPECT_THROW(head.forward(torch::zeros({2, 5})), c10::Error);
  EXPECT_THROW(head.forward(torch::zeros({2, 4, 3})), c10::Error);
  EXPECT_THROW(LinearHead({}, context_of(0, 3)), c10::Error);
  EXPECT_THROW(LinearHead({}, context_of(4, 0)), c10::Error);
}

TEST(LinearHead, IsBuiltFromAnOpenMmlabConfig) {
  const auto head = build_component<Head, LinearHead>(
      "{type: T, num_classes: 3, in_channels: 4, dropout_ratio: 0.1}", context_of(4, 3));
  EXPECT_EQ(head->named_parameters()["fc.weight"].size(0), 3);
  EXPECT_EQ((build_error<Head, LinearHead>("type: T\ndropout: 1\n", context_of(4, 3))),
            "test.yaml:2:10: 'dropout' must be at least 0 and below 1, not 1");
}

}  // namespace
}  // namespace dnc
