#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "plugins/transforms/pixels/normalize.h"
#include "plugins/transforms/pixels/random_erasing.h"
#include "tests/plugins/transforms/transform_testing.h"

namespace dnc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

torch::Tensor to_tensor(const Image& image) {
  return torch::tensor(std::vector<float>(image.floats(), image.floats() + image.size()))
      .view({image.height(), image.width(), image.channels()});
}

// --- Normalize

TEST(NormalizeTest, MatchesTorchvision) {
  const Golden golden = Golden::load("images.txt");
  const Image image = test_picture("normalize", 6, 5, 3);
  const auto units_of_one = build_transform<Normalize>(
      "white: 1, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]");
  EXPECT_TRUE(is_close(to_tensor(apply(*units_of_one, image)), golden["normalize"], 1e-6));
  const auto units_of_255 =
      build_transform<Normalize>("mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]");
  EXPECT_TRUE(is_close(to_tensor(apply(*units_of_255, image)), golden["normalize"], 1e-6));
}

TEST(NormalizeTest, OneNumberServesAllChannelsAndThreeMakeGrayRgb) {
  Image gray(1, 2, 1);
  gray.pixels()[0] = 10;
  gray.pixels()[1] = 30;
  EXPECT_TRUE(torch::equal(to_tensor(apply(*build_transform<Normalize>("mean: 10, std: 4"), gray)),
                           torch::tensor({0.0F, 5.0F}).view({1, 2, 1})));
  const Image rgb = apply(*build_transform<Normalize>("mean: [10, 20, 30], std: 2"), gray);
  EXPECT_TRUE(is_close(to_tensor(rgb),
                       torch::tensor({0.0F, -5.0F, -10.0F, 10.0F, 5.0F, 0.0F}).view({1, 2, 3}),
                       1e-6));
}

TEST(NormalizeTest, RefusesNumbersOfTheOtherUnit) {
  EXPECT_THAT(transform_error<Normalize>("mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"),
              HasSubstr("seems to be for white = 1, as torchvision has it; then say `white: 1`"));
  EXPECT_THAT(transform_error<Normalize>("white: 1, mean: 127, std: 50"),
              HasSubstr("seems to be for white = 255, as OpenMMLab has it"));
}

TEST(NormalizeTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<Normalize>("mean: [1, 2], std: 3"), HasSubstr("has 2 numbers"));
  EXPECT_NE(transform_error<Normalize>("mean: 1, std: 0"), "");
  EXPECT_NE(transform_error<Normalize>("mean: 1"), "");
}

// --- RandomErasing

// The smallest box around what differs; empty where nothing does.
Box changed(const Image& before, const Image& after) {
  int64_t top = before.height();
  int64_t left = before.width();
  int64_t bottom = 0;
  int64_t right = 0;
  const auto old_pixels = bytes_of(before);
  const auto new_pixels = bytes_of(after);
  for (size_t i = 0; i < old_pixels.size(); ++i) {
    if (old_pixels[i] == new_pixels[i]) continue;
    const int64_t pixel = static_cast<int64_t>(i) / before.channels();
    top = std::min(top, pixel / before.width());
    bottom = std::max(bottom, pixel / before.width() + 1);
    left = std::min(left, pixel % before.width());
    right = std::max(right, pixel % before.width() + 1);
  }
  return bottom == 0 ? Box{} : Box{top, left, bottom - top, right - left};
}

TEST(RandomErasingTest, FillsOneRectangleWithTheColour) {
  const Image image(30, 40, 3);
  const auto erase = build_transform<RandomErasing>("probability: 1, fill: [10, 20, 30.4]");
  for (int i = 0; i < 50; ++i) {
    const Image erased = apply(*erase, image, i);
    const Box box = changed(image, erased);
    ASSERT_FALSE(box == Box{});
    const auto pixels = bytes_of(erased.crop(box));
    for (size_t p = 0; p < pixels.size(); p += 3) {
      ASSERT_THAT(Bytes(pixels.begin() + p, pixels.begin() + p + 3), ElementsAre(10, 20, 30));
    }
  }
}

TEST(RandomErasingTest, AreaAndShapeAreThoseOfTheOptions) {
  RandomErasing::Options options;
  options.area = {0.1, 0.3};
  options.ratio = {0.5, 2};
  const RandomErasing erase(options);
  constexpr int kSamples = 20000;
  double sum = 0;
  double log_ratios = 0;
  for (int i = 0; i < kSamples; ++i) {
    auto random = augment(i);
    const auto box = erase.choose(1000, 1000, random);
    ASSERT_TRUE(box);
    ASSERT_GE(box->top, 0);
    ASSERT_GE(box->left, 0);
    ASSERT_LE(box->top + box->height, 1000);
    ASSERT_LE(box->left + box->width, 1000);
    const double area = static_cast<double>(box->height * box->width) / 1e6;
    const double ratio = static_cast<double>(box->height) / static_cast<double>(box->width);
    ASSERT_GT(area, 0.099);
    ASSERT_LT(area, 0.301);
    ASSERT_GT(ratio, 0.497);
    ASSERT_LT(ratio, 2.012);
    sum += area;
    log_ratios += std::log(ratio);
  }
  // Uniform area, and uniform logarithm of the ratio: 5 standard deviations of the mean.
  EXPECT_NEAR(sum / kSamples, 0.2, 5 * 0.2 / std::sqrt(12.0 * kSamples));
  EXPECT_NEAR(log_ratios / kSamples, 0, 5 * 2 * std::log(2.0) / std::sqrt(12.0 * kSamples));
}

TEST(RandomErasingTest, LeavesAnImageAloneInWhichNothingFits) {
  const Image image(1, 30, 1);
  const auto erase =
      build_transform<RandomErasing>("probability: 1, area: [0.5, 0.9], ratio: [1, 1]");
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(is_same(apply(*erase, image, i), image));
}

TEST(RandomErasingTest, NoiseOfBytesIsUniform) {
  Image image(400, 400, 3);
  const auto erase = build_transform<RandomErasing>(
      "probability: 1, mode: random, area: [0.5, 0.5], ratio: [1, 1]");
  const Image erased = apply(*erase, image, 0);
  const auto noise = bytes_of(erased.crop(changed(image, erased)));
  ASSERT_GT(noise.size(), 230'000U);
  std::vector<int> counts(256);
  for (const uint8_t byte : noise) ++counts[byte];
  const double expected = static_cast<double>(noise.size()) / 256;
  for (const int count : counts) EXPECT_NEAR(count, expected, 6 * std::sqrt(expected));
}

TEST(RandomErasingTest, NoiseOfFloatsIsNormal) {
  Image image(400, 400, 1);
  image.to_float();
  const auto erase = build_transform<RandomErasing>(
      "probability: 1, mode: random, area: [0.5, 0.5], ratio: [1, 1]");
  const auto values = to_tensor(apply(*erase, image, 0));
  const auto noise = values.masked_select(values != 0);
  const auto count = static_cast<double>(noise.numel());
  ASSERT_GT(count, 79'000);
  EXPECT_NEAR(noise.mean().item<double>(), 0, 5 / std::sqrt(count));
  EXPECT_NEAR(noise.std().item<double>(), 1, 5 / std::sqrt(2 * count));
}

TEST(RandomErasingTest, FloatImagesAreFilledWithTheNumberAsItIs) {
  Image image(20, 20, 1);
  image.to_float();
  const auto erase = build_transform<RandomErasing>("probability: 1, fill: 0.25");
  const auto values = to_tensor(apply(*erase, image, 0));
  EXPECT_EQ(values.max().item<float>(), 0.25F);
}

TEST(RandomErasingTest, SameSampleOfTheSameEpochAlwaysLooksTheSame) {
  const Image image(20, 20, 3);
  const auto erase = build_transform<RandomErasing>("probability: 1, mode: random");
  EXPECT_TRUE(is_same(apply(*erase, image, 5, 2), apply(*erase, image, 5, 2)));
  EXPECT_FALSE(is_same(apply(*erase, image, 5, 2), apply(*erase, image, 6, 2)));
  EXPECT_FALSE(is_same(apply(*erase, image, 5, 2), apply(*erase, image, 5, 3)));
}

TEST(RandomErasingTest, LabelsOfPixelsStay) {
  Sample sample = paired_sample(20, 20);
  const Image labels = sample.labels;
  auto random = augment(0);
  build_transform<RandomErasing>("probability: 1")->apply(sample, random);
  EXPECT_TRUE(is_same(sample.labels, labels));
  EXPECT_FALSE(is_same(sample.image, labels));
}

TEST(RandomErasingTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<RandomErasing>("area: [0.5, 0.1]"), HasSubstr("must be [low, high]"));
  EXPECT_THAT(transform_error<RandomErasing>("ratio: [3, 1]"), HasSubstr("must be [low, high]"));
  EXPECT_THAT(transform_error<RandomErasing>("fill: [1, 2]"), HasSubstr("has 2 numbers"));
  EXPECT_NE(transform_error<RandomErasing>("area: [0.5, 1.5]"), "");
  EXPECT_NE(transform_error<RandomErasing>("fill: 300"), "");
  EXPECT_EQ(transform_error<RandomErasing>("erase_prob: 1, aspect_range: [1, 2], fill_color: 3"),
            "");
}

TEST(RandomErasingTest, ErasesTheShareOfImagesThatIsAskedFor) {
  const Image image(20, 20, 1);
  const auto erase = build_transform<RandomErasing>("probability: 0.25");
  constexpr int kSamples = 10000;
  int erased = 0;
  for (int i = 0; i < kSamples; ++i) {
    erased += changed(image, apply(*erase, image, i)) == Box{} ? 0 : 1;
  }
  EXPECT_NEAR(erased, kSamples * 0.25, 5 * std::sqrt(kSamples * 0.25 * 0.75));
}

}  // namespace
}  // namespace dnc
