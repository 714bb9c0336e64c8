#include "plugins/transforms/auto_augment/auto_augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "plugins/transforms/auto_augment/policies.h"
#include "plugins/transforms/auto_augment/rand_augment.h"
#include "plugins/transforms/auto_augment/trivial_augment.h"
#include "tests/plugins/transforms/transform_testing.h"

namespace dnc {
namespace {

using enum Operation;
using ::testing::HasSubstr;

constexpr int kSamples = 20000;

Sample sample_of(int64_t height, int64_t width) {
  Sample sample;
  sample.image = Image(height, width, 3);
  return sample;
}

// How often each operation was drawn, and how often it went backwards.
struct Draws {
  std::map<Operation, int> count;
  std::map<Operation, int> negative;
  std::map<Operation, double> largest;  // magnitude of the argument

  void add(const Augmentation& drawn) {
    ++count[drawn.operation];
    if (drawn.argument < 0) ++negative[drawn.operation];
    auto& most = largest[drawn.operation];
    most = std::max(most, std::abs(drawn.argument));
  }
};

template <typename T>
Draws draw_many(const T& transform) {
  Draws draws;
  const auto sample = sample_of(224, 300);
  for (int i = 0; i < kSamples; ++i) {
    auto random = augment(static_cast<uint64_t>(i));
    for (const auto& each : transform.draw(sample, random)) draws.add(each);
  }
  return draws;
}

void expect_share(int count, int of, double share) {
  EXPECT_NEAR(count, of * share, 5 * std::sqrt(of * share * (1 - share)) + 1e-9);
}

// The numbers of torchvision's _augmentation_space(31, (224, 300)) at magnitude 9.
TEST(RandAugmentTest, StrengthsAreTorchvisions) {
  const std::map<Operation, double> expected = {
      {kIdentity, 0},     {kShearX, 0.09},    {kShearY, 0.09},     {kTranslateX, 40},
      {kTranslateY, 30},  {kRotate, 9},       {kBrightness, 0.27}, {kColor, 0.27},
      {kContrast, 0.27},  {kSharpness, 0.27}, {kPosterize, 7},     {kSolarize, 178.5},
      {kAutoContrast, 0}, {kEqualize, 0}};
  const auto draws = draw_many(RandAugment({}));
  ASSERT_EQ(draws.count.size(), expected.size());
  for (const auto& [operation, argument] : expected) {
    EXPECT_NEAR(draws.largest.at(operation), argument, 1e-6) << static_cast<int>(operation);
    expect_share(draws.count.at(operation), 2 * kSamples, 1.0 / 14);
    if (has_sign(operation)) {
      expect_share(draws.negative.at(operation), draws.count.at(operation), 0.5);
    } else {
      EXPECT_EQ(draws.negative.count(operation), 0u);
    }
  }
}

// timm's rand-m9-inc1: level_to_arg of its increasing operations at level 9.
TEST(RandAugmentTest, StrengthsOfTheOtherFormAreTimms) {
  RandAugment::Options options;
  options.form = RandAugment::Form::kTimm;
  const std::map<Operation, double> expected = {
      {kAutoContrast, 0}, {kEqualize, 0},       {kInvert, 0},        {kRotate, 27},
      {kPosterize, 1},    {kSolarize, 25.6},    {kSolarizeAdd, 99},  {kColor, 0.81},
      {kContrast, 0.81},  {kBrightness, 0.81},  {kSharpness, 0.81},  {kShearX, 0.27},
      {kShearY, 0.27},    {kTranslateX, 121.5}, {kTranslateY, 90.72}};
  const auto draws = draw_many(RandAugment(options));
  ASSERT_EQ(draws.count.size(), expected.size());
  for (const auto& [operation, argument] : expected) {
    EXPECT_NEAR(draws.largest.at(operation), argument, 1e-6) << static_cast<int>(operation);
    expect_share(draws.count.at(operation), 2 * kSamples, 0.5 / 15);
  }
}

TEST(RandAugmentTest, MagnitudesSpreadAndStayInBounds) {
  RandAugment::Options options;
  options.form = RandAugment::Form::kTimm;
  options.magnitude_std = 0.5;
  const RandAugment transform(options);
  double sum = 0, squares = 0;
  int count = 0;
  for (int i = 0; i < kSamples; ++i) {
    auto random = augment(static_cast<uint64_t>(i));
    for (const auto& each : transform.draw(sample_of(8, 8), random)) {
      if (each.operation != kRotate) continue;
      const double magnitude = std::abs(each.argument) / 3;
      EXPECT_LE(magnitude, 10);
      sum += magnitude;
      squares += magnitude * magnitude;
      ++count;
    }
  }
  ASSERT_GT(count, 1000);
  EXPECT_NEAR(sum / count, 9, 0.1);
  EXPECT_NEAR(std::sqrt(squares / count - sum / count * sum / count), 0.48, 0.05);  // cut at 10
}

TEST(RandAugmentTest, NothingIsDrawnOrDoneWithoutOperations) {
  const auto none = build_transform<RandAugment>("num_ops: 0");
  const Image image = test_picture("none", 9, 7, 3);
  EXPECT_TRUE(is_same(apply(*none, image), image));
}

TEST(RandAugmentTest, SameSampleOfTheSameEpochLooksTheSameAndLabelsFollow) {
  const auto transform = build_transform<RandAugment>("num_ops: 5, magnitude: 20, fill: [1, 2, 3]");
  const Image image = test_picture("twice", 20, 30, 3);
  int differ = 0;
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(is_same(apply(*transform, image, i), apply(*transform, image, i)));
    differ += is_same(apply(*transform, image, i), apply(*transform, image, i, 1)) ? 0 : 1;
  }
  EXPECT_GT(differ, 10);

  Sample sample = paired_sample(12, 12);
  const Image before = sample.labels;
  apply({kTranslateX, 3}, sample, {});
  ASSERT_EQ(sample.labels.width(), 12);
  const auto labels = bytes_of(sample.labels), old = bytes_of(before);
  EXPECT_EQ(labels[0], 255);  // from beyond the edge: ignored
  EXPECT_EQ(labels[3], old[0]);
}

TEST(RandAugmentTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<RandAugment>("form: timm, magnitude: 11"),
              HasSubstr("must be at most 10 with 'form: timm'"));
  EXPECT_NE(transform_error<RandAugment>("fill: [1, 2]"), "");
  EXPECT_NE(transform_error<RandAugment>("magnitude: 31"), "");
  EXPECT_NE(transform_error<RandAugment>("form: pillow"), "");
}

// The numbers of torchvision's TrivialAugmentWide()._augmentation_space(31), bin 20 and 30.
TEST(TrivialAugmentTest, StrengthsAreTorchvisions) {
  Draws draws;
  std::map<Operation, std::map<double, int>> arguments;
  const TrivialAugment transform({});
  const auto sample = sample_of(224, 300);
  for (int i = 0; i < kSamples; ++i) {
    auto random = augment(static_cast<uint64_t>(i));
    const auto drawn = transform.draw(sample, random);
    draws.add(drawn);
    ++arguments[drawn.operation][std::abs(drawn.argument)];
  }
  EXPECT_EQ(draws.count.size(), 14u);
  for (const auto& [operation, count] : draws.count) expect_share(count, kSamples, 1.0 / 14);
  EXPECT_EQ(arguments[kRotate].size(), 31u);
  EXPECT_EQ(arguments[kRotate].count(90), 1u);
  EXPECT_NEAR(draws.largest[kShearX], 0.99, 1e-9);
  EXPECT_NEAR(draws.largest[kTranslateX], 32, 1e-9);
  EXPECT_EQ(arguments[kTranslateX].count(21), 1u);
  EXPECT_NEAR(draws.largest[kRotate], 135, 1e-9);
  EXPECT_NEAR(draws.largest[kColor], 0.99, 1e-9);
  EXPECT_EQ(arguments[kPosterize].size(), 7u);  // 8 to 2 bits
  EXPECT_EQ(arguments[kPosterize].begin()->first, 2);
  EXPECT_EQ(arguments[kSolarize].count(0), 1u);
  EXPECT_EQ(draws.largest[kSolarize], 255);
}

TEST(AutoAugmentTest, DrawsThePairsWithTheirShares) {
  AutoAugment::Options options;
  options.policy = AutoAugment::Policy::kCifar10;
  const auto draws = draw_many(AutoAugment(options));
  std::map<Operation, double> expected;  // per image
  for (const auto& pair : policies::kCifar10) {
    for (const auto& choice : pair) expected[choice.operation] += choice.probability / 25;
  }
  for (const auto& [operation, share] : expected) {
    if (share == 0) continue;
    const int count = draws.count.count(operation) ? draws.count.at(operation) : 0;
    EXPECT_NEAR(count, kSamples * share, 6 * std::sqrt(kSamples * share)) << share;
  }
  // Level 9 of 0 to 9 is the whole reach, 300 * 150 / 331 pixels.
  EXPECT_EQ(draws.largest.at(kTranslateX), 135);
}

TEST(AutoAugmentTest, EveryPolicyRunsOnEveryKindOfImage) {
  for (const char* policy : {"imagenet", "cifar10", "svhn"}) {
    const auto transform = build_transform<AutoAugment>(std::string("policy: ") + policy);
    for (const int64_t channels : {1, 3}) {
      const Image image = test_picture("policy", 16, 11, channels);
      int changed = 0;
      for (uint64_t i = 0; i < 100; ++i) {
        const auto out = apply(*transform, image, i);
        EXPECT_EQ(out.height(), 16);
        EXPECT_EQ(out.channels(), channels);
        changed += is_same(out, image) ? 0 : 1;
      }
      EXPECT_GT(changed, 50) << policy;
    }
  }
}

}  // namespace
}  // namespace dnc
