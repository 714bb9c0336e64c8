#include "plugins/batch_transforms/mixing/mixing.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "plugins/batch_transforms/mixing/cutmix.h"
#include "plugins/batch_transforms/mixing/mixup.h"
#include "registry/head.h"
#include "tests/golden/golden.h"
#include "tests/plugins/batch_transforms/batch_testing.h"

namespace dnc {
namespace {

constexpr int64_t kClasses = 7;
const std::vector<int64_t> kLabels{0, 3, 6, 3, 2, 3};  // of tests/golden/mixing.py

template <typename T>
std::shared_ptr<BatchTransform> build(const std::string& options) {
  return build_component<BatchTransform, T>("{type: T, " + options + "}",
                                            classes_context(kClasses));
}

Batch golden_batch() { return labelled(golden_values("mixing/images", {6, 3, 9, 14}), kLabels); }

std::vector<Mix> shares_only(const torch::Tensor& shares) {
  std::vector<Mix> mixes;
  for (int64_t i = 0; i < shares.numel(); ++i) mixes.push_back({shares[i].item<double>(), {}});
  return mixes;
}

// ---- parity -------------------------------------------------------------------------------------

TEST(Mixing, BlendsAsTorchvisionDoesTo1e6) {
  const auto golden = Golden::load("mixing.txt");
  for (const std::string share : {"0.25", "0.9"}) {
    auto batch = golden_batch();
    const std::vector<Mix> mixes{{std::stod(share), {}}};
    EXPECT_TRUE(is_close(blend(batch.images, mixes).select(1, 0),
                         golden["mixup/" + share + "/images"], 1e-6));
    mix_labels(batch, mixes, kClasses);
    EXPECT_TRUE(is_close(batch.soft_labels, golden["mixup/" + share + "/soft"], 1e-6));
    EXPECT_EQ(batch.soft_labels.scalar_type(), torch::kFloat32);
  }
}

TEST(Mixing, BlendsInEachModeAsTimmDoesTo1e6) {
  const auto golden = Golden::load("mixing.txt");
  for (const std::string mode : {"batch", "pair", "elem"}) {
    SCOPED_TRACE(mode);
    auto batch = golden_batch();
    const auto mixes = shares_only(golden["timm/" + mode + "/shares"]);
    EXPECT_EQ(mixes.size(), mode == "batch" ? 1u : 6u);
    EXPECT_TRUE(is_close(blend(batch.images, mixes).select(1, 0),
                         golden["timm/" + mode + "/images"], 1e-6));
    mix_labels(batch, mixes, kClasses);
    EXPECT_TRUE(is_close(batch.soft_labels, golden["timm/" + mode + "/soft"], 1e-6));
  }
}

TEST(Mixing, CutsTheBoxesOfTorchvisionWithTheirCorrectedShares) {
  const auto golden = Golden::load("mixing.txt");
  int64_t cut_off = 0;
  for (int seed = 0; seed < 24; ++seed) {
    const auto id = "cutmix/" + std::to_string(seed);
    SCOPED_TRACE(id);
    const auto drawn = golden[id + "/drawn"];
    const auto expected = golden[id + "/box"];  // left, top, right, bottom, share
    const auto mix =
        cut(drawn[0].item<double>(), 9, 14, drawn[1].item<int64_t>(), drawn[2].item<int64_t>());
    EXPECT_EQ(mix.box.left, expected[0].item<int64_t>());
    EXPECT_EQ(mix.box.top, expected[1].item<int64_t>());
    EXPECT_EQ(mix.box.left + mix.box.width, expected[2].item<int64_t>());
    EXPECT_EQ(mix.box.top + mix.box.height, expected[3].item<int64_t>());
    EXPECT_NEAR(mix.share, expected[4].item<double>(), 1e-8);
    cut_off += mix.share > drawn[0].item<double>() + 0.05 ? 1 : 0;
    if (!golden.contains(id + "/images")) continue;
    auto batch = golden_batch();
    EXPECT_TRUE(is_close(paste(batch.images, {mix}).select(1, 0), golden[id + "/images"], 1e-7));
    mix_labels(batch, {mix}, kClasses);
    EXPECT_TRUE(is_close(batch.soft_labels, golden[id + "/soft"], 1e-6));
  }
  EXPECT_GT(cut_off, 3) << "or the correction is not tested";
}

// ---- draws --------------------------------------------------------------------------------------

// Of Beta(alpha, alpha): mean 1/2, variance 1 / (4 (2 alpha + 1)).
TEST(Mixing, SharesHaveTheDistributionBeta) {
  constexpr int kSamples = 20000;
  for (const double alpha : {0.02, 0.2, 1.0, 4.0}) {
    SCOPED_TRACE(alpha);
    auto random = of_step(0);
    double sum = 0, squares = 0, fourths = 0;
    for (int i = 0; i < kSamples; ++i) {
      const double share = symmetric_beta(alpha, random);
      ASSERT_GE(share, 0);
      ASSERT_LE(share, 1);
      sum += share - 0.5;
      squares += std::pow(share - 0.5, 2);
      fourths += std::pow(share - 0.5, 4);
    }
    // The fourth central moment is 3 / (16 (2 alpha + 1) (2 alpha + 3)).
    const double variance = 1 / (4 * (2 * alpha + 1));
    const double fourth = 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3));
    EXPECT_NEAR(sum / kSamples, 0, 5 * std::sqrt(variance / kSamples));
    EXPECT_NEAR(squares / kSamples, variance,
                5 * std::sqrt((fourth - variance * variance) / kSamples));
    EXPECT_NEAR(fourths / kSamples, fourth, 0.05 * fourth);
  }
}

// Beta(1, 1) is the uniform distribution: Kolmogorov and Smirnov.
TEST(Mixing, SharesOfAlphaOneAreUniform) {
  constexpr int kSamples = 10000;
  std::vector<double> shares;
  auto random = of_step(1);
  for (int i = 0; i < kSamples; ++i) shares.push_back(symmetric_beta(1, random));
  std::sort(shares.begin(), shares.end());
  double distance = 0;
  for (int i = 0; i < kSamples; ++i) {
    distance = std::max(distance, std::abs(shares[static_cast<size_t>(i)] - (i + 0.5) / kSamples));
  }
  EXPECT_LT(distance, 2 / std::sqrt(kSamples)) << "one in 1500 would be above";
}

TEST(Mixing, MixesAsOftenAsItIsTold) {
  const auto mixup = build<Mixup>("prob: 0.3");
  constexpr int kBatches = 2000;
  int mixed = 0;
  for (int i = 0; i < kBatches; ++i) {
    const auto batch = apply(*mixup, golden_batch(), i);
    mixed += batch.soft_labels.defined() ? 1 : 0;
    if (batch.soft_labels.defined()) continue;
    ASSERT_TRUE(torch::equal(batch.labels, golden_batch().labels));
    ASSERT_TRUE(torch::equal(batch.images, golden_batch().images));
  }
  EXPECT_NEAR(mixed, kBatches * 0.3, 5 * std::sqrt(kBatches * 0.3 * 0.7));
}

// The share of each image, read from its soft label; partners have other classes.
torch::Tensor shares_in(const Batch& batch, const std::vector<int64_t>& labels) {
  return batch.soft_labels.gather(1, torch::tensor(labels).unsqueeze(1)).squeeze(1);
}

TEST(Mixing, ADrawServesABatchAPairOrAnImage) {
  const std::vector<int64_t> labels{0, 1, 2, 3, 4};
  const auto images = golden_values("five", {5, 3, 8, 8});
  for (const std::string mode : {"batch", "pair", "elem"}) {
    for (const auto& transform : {build<Mixup>("mode: " + mode), build<CutMix>("mode: " + mode)}) {
      SCOPED_TRACE(mode);
      const auto shares = shares_in(apply(*transform, labelled(images, labels), 3), labels);
      EXPECT_EQ(shares[2].item<float>(), 1) << "the middle one is its own partner";
      EXPECT_EQ(torch::equal(shares[0], shares[4]), mode != "elem");
      EXPECT_EQ(torch::equal(shares[1], shares[3]), mode != "elem");
      EXPECT_EQ(torch::equal(shares[0], shares[1]), mode == "batch");
    }
  }
}

TEST(Mixing, TheSameStepAlwaysDrawsTheSame) {
  for (const auto& transform : {build<Mixup>("mode: pair"), build<CutMix>("mode: elem")}) {
    const auto first = apply(*transform, golden_batch(), 5);
    EXPECT_TRUE(torch::equal(first.images, apply(*transform, golden_batch(), 5).images));
    EXPECT_FALSE(torch::equal(first.images, apply(*transform, golden_batch(), 6).images));
  }
}

// ---- what comes out -----------------------------------------------------------------------------

TEST(Mixing, PixelsOfCutMixHaveTheSharesOfItsLabels) {
  const auto cutmix = build<CutMix>("mode: elem");
  const std::vector<int64_t> labels{0, 1, 2, 3};
  const auto places = torch::arange(4).view({4, 1, 1, 1}).expand({4, 3, 10, 16});
  for (uint64_t step = 0; step < 20; ++step) {
    const auto batch = apply(*cutmix, labelled(places.to(torch::kFloat32), labels), step);
    const auto own = batch.images.eq(places).to(torch::kFloat32).mean({1, 2, 3});
    EXPECT_TRUE(is_close(shares_in(batch, labels), own, 1e-6));
    EXPECT_TRUE(is_close(batch.soft_labels.sum(1), torch::ones({4}), 1e-6));
  }
}

TEST(Mixing, LabelsAreTheClassOfTheLargerShare) {
  auto batch = golden_batch();
  const auto half = [](double share) { return Mix{share, {}}; };
  mix_labels(batch, {half(0.4), half(0.9), half(1), half(0), half(0.6), half(0.3)}, kClasses);
  EXPECT_TRUE(torch::equal(batch.labels, torch::tensor({3, 3, 6, 6, 2, 0}, torch::kInt64)));
}

TEST(Mixing, WhatIsMixedWithAnImageWithoutALabelHasNone) {
  auto batch = labelled(torch::zeros({6, 3, 4, 4}), {1, kIgnoredLabel, 2, 3, 4, kIgnoredLabel});
  const std::vector<Mix> mixes{{0.7, {}}, {0.7, {}}, {0.7, {}}, {0.7, {}}, {1, {}}, {0.7, {}}};
  mix_labels(batch, mixes, kClasses);
  EXPECT_TRUE(torch::equal(batch.labels, torch::tensor({-1, -1, 2, 3, 4, -1}, torch::kInt64)));
  EXPECT_TRUE(
      is_close(batch.soft_labels.sum(1), torch::tensor({0.0, 0.0, 1.0, 1.0, 1.0, 0.0}), 1e-6));
}

TEST(Mixing, ASecondMixingTakesTheSharesOfTheFirst) {
  auto batch = labelled(torch::zeros({2, 3, 4, 4}), {0, 1});
  mix_labels(batch, {{0.9, {}}}, 2);
  mix_labels(batch, {{0.5, {}}}, 2);
  EXPECT_TRUE(is_close(batch.soft_labels, torch::full({2, 2}, 0.5), 1e-6));
}

TEST(Mixing, KeepsChannelsLastMemory) {
  for (const auto& transform : {build<Mixup>("alpha: 1"), build<CutMix>("alpha: 1")}) {
    const auto batch = apply(*transform, golden_batch());
    EXPECT_TRUE(batch.soft_labels.defined());
    EXPECT_TRUE(batch.images.is_contiguous(torch::MemoryFormat::ChannelsLast));
  }
}

TEST(Mixing, RefusesBadOptionsAndLabelsOfPixels) {
  const auto error = [](const std::string& options, Task task = Task::kImages) {
    return build_error<BatchTransform, Mixup>("{type: T, " + options + "}",
                                              classes_context(kClasses, task));
  };
  EXPECT_EQ(error("alpha: 0"), "test.yaml:1:18: 'alpha' must be above 0, not 0");
  EXPECT_EQ(error("prob: 1.5"), "test.yaml:1:17: 'prob' must be from 0 to 1, not 1.5");
  EXPECT_EQ(error("mode: half"),
            "test.yaml:1:17: 'mode' must be one of batch, pair, elem, not 'half'");
  EXPECT_EQ(error("alpha: 1", Task::kPixels),
            "test.yaml:1:8: 'type' mixes the labels of whole images, but the data has one a pixel");
}

}  // namespace
}  // namespace dnc
