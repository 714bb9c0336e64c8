#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "plugins/transforms/common/affine.h"
#include "plugins/transforms/common/photometric.h"
#include "plugins/transforms/geometry/random_crop.h"
#include "plugins/transforms/segmentation/photometric_distortion.h"
#include "plugins/transforms/segmentation/random_cut_out.h"
#include "plugins/transforms/segmentation/random_resize.h"
#include "plugins/transforms/segmentation/random_rotate.h"
#include "registry/error.h"
#include "tests/plugins/transforms/transform_testing.h"

namespace dnc {
namespace {

using ::testing::Each;
using ::testing::EndsWith;
using ::testing::HasSubstr;

const Golden& golden() {
  static const Golden values = Golden::load("segmentation.txt");
  return values;
}

Sample applied(const Transform& transform, Sample sample, uint64_t index = 0) {
  auto random = augment(index);
  transform.apply(sample, random);
  return sample;
}

// --- RandomResize

RandomResize resize_to(std::vector<int64_t> scale, bool keep_ratio) {
  RandomResize::Options options;
  options.scale = std::move(scale);
  options.keep_ratio = keep_ratio;
  return RandomResize(options);
}

TEST(RandomResizeTest, SizesAreThoseOfMmcv) {
  // height, width, ratio -> height, width; worked out with mmcv.rescale_size.
  struct Case {
    int64_t height, width;
    double ratio;
    int64_t new_height, new_width;
  };
  for (const auto& [height, width, ratio, new_height, new_width] :
       {Case{360, 480, 1.0, 360, 480}, Case{360, 480, 0.5, 180, 240}, Case{480, 360, 1.3, 624, 468},
        Case{100, 1000, 1.0, 48, 480}, Case{512, 683, 0.77, 277, 369}}) {
    for (const auto& scale : {std::vector<int64_t>{480, 360}, {360, 480}}) {
      const auto size = resize_to(scale, true).choose(height, width, ratio);
      EXPECT_EQ(size.height, new_height) << height << " x " << width << " times " << ratio;
      EXPECT_EQ(size.width, new_width) << height << " x " << width << " times " << ratio;
    }
  }
  const auto size = resize_to({480, 360}, false).choose(77, 99, 0.5);
  EXPECT_EQ(size.height, 180);
  EXPECT_EQ(size.width, 240);
  EXPECT_EQ(resize_to({10, 10}, true).choose(1, 1000, 0.5).height, 1);  // never nothing
}

TEST(RandomResizeTest, ImageAndLabelsGetOneSizeWithinTheRange) {
  const auto transform = build_transform<RandomResize>("scale: [40, 30], ratio_range: [0.5, 2]");
  std::set<int64_t> heights;
  for (uint64_t i = 0; i < 40; ++i) {
    const auto before = paired_sample(30, 40);
    const auto after = applied(*transform, before, i);
    heights.insert(after.image.height());
    EXPECT_TRUE(is_same(
        after.labels,
        before.labels.resize(after.image.height(), after.image.width(), Interpolation::kNearest)));
  }
  EXPECT_LT(*heights.begin(), 19);
  EXPECT_GE(*heights.begin(), 15);
  EXPECT_GT(*heights.rbegin(), 52);
  EXPECT_LE(*heights.rbegin(), 60);
}

TEST(RandomResizeTest, WrongOptionsAreRefused) {
  EXPECT_THAT(transform_error<RandomResize>("scale: [40, 30], ratio_range: [2, 0.5]"),
              EndsWith("must be [low, high], with low not above high"));
  EXPECT_THAT(transform_error<RandomResize>("scale: 40"), HasSubstr("scale"));
  EXPECT_THAT(transform_error<RandomResize>("ratio_range: [1, 2]"), HasSubstr("'scale'"));
}

// --- PhotometricDistortion

// As in tests/golden/segmentation.py: a third of it dark.
Image distort_picture() {
  Image image = test_picture("distort", 24, 31, 3);
  uint8_t* const bytes = image.pixels();
  for (int64_t i = 0; i < 8 * 31 * 3; ++i) bytes[i] /= 16;
  return image;
}

TEST(PhotometricDistortionTest, BrightnessAndContrastEqualMmsegmentationBitForBit) {
  for (const auto& name : golden().names("shift/")) {
    const auto slash = name.find('/');
    Image image = distort_picture();
    scale_and_shift(image, std::stod(name.substr(0, slash)), std::stod(name.substr(slash + 1)));
    EXPECT_TRUE(is_same(image, to_image(golden()["shift/" + name]))) << name;
  }
  EXPECT_EQ(golden().names("shift/").size(), 5U);
}

TEST(PhotometricDistortionTest, SaturationIsThatOfExactHsvRounded) {
  for (const auto& name : golden().names("saturation/")) {
    Image image = distort_picture();
    scale_saturation(image, std::stod(name));
    const auto bytes = torch::from_blob(image.pixels(), {24, 31, 3}, torch::kUInt8);
    const auto away = (bytes - golden()["saturation/" + name]).abs().max().item<double>();
    EXPECT_LE(away, 0.5 + 1e-6) << name;
  }
  EXPECT_EQ(golden().names("saturation/").size(), 5U);
  Image gray = test_picture("gray", 4, 4, 1);
  scale_saturation(gray, 3);
  EXPECT_TRUE(is_same(gray, test_picture("gray", 4, 4, 1)));
}

TEST(PhotometricDistortionTest, ChangesComeInTheOrderOfMmsegmentation) {
  PhotometricDistortion::Options options;
  options.contrast_range = {0.5, 0.5};
  options.saturation_range = {3, 3};
  const PhotometricDistortion transform(options);
  int contrast_first = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    auto random = augment(i);
    Image expected = distort_picture();
    const auto contrast = [&] {
      if (!random.chance(0.5)) return;
      scale_and_shift(expected, random.uniform(0.5, 0.5), 0);
    };
    if (random.chance(0.5)) scale_and_shift(expected, 1, random.uniform(-32, 32));
    const bool first = random.chance(0.5);
    contrast_first += first;
    if (first) contrast();
    if (random.chance(0.5)) scale_saturation(expected, random.uniform(3, 3));
    if (random.chance(0.5)) {
      adjust_hue(expected, static_cast<double>(random.integer(-18, 18)) / 180);
    }
    if (!first) contrast();
    ASSERT_TRUE(is_same(apply(transform, distort_picture(), i), expected)) << i;
  }
  EXPECT_NEAR(contrast_first, 100, 35);
}

TEST(PhotometricDistortionTest, LeavesLabelsAndSomeImagesAsTheyAre) {
  const auto transform = build_transform<PhotometricDistortion>("hue_delta: 0");
  int same = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    auto before = paired_sample(6, 7);
    before.image = distort_picture();
    const auto after = applied(*transform, before, i);
    EXPECT_TRUE(is_same(after.labels, before.labels));
    same += is_same(after.image, before.image) ? 1 : 0;
  }
  EXPECT_NEAR(same, 25, 18);  // neither brightness nor contrast nor saturation: an eighth
  EXPECT_THAT(transform_error<PhotometricDistortion>("contrast_range: [2, 1]"),
              EndsWith("must be [low, high], with low not above high"));
}

// --- RandomRotate

TEST(RandomRotateTest, TurnsClockwiseAndIgnoresLabelsFromBeyondTheEdge) {
  const auto transform = build_transform<RandomRotate>(
      "probability: 1, degree: [30, 30], interpolation: nearest, "
      "pad_val: 255");
  const auto before = paired_sample(21, 33);
  const auto after = applied(*transform, before);
  EXPECT_TRUE(is_same(after.image, warp(before.image, rotate(-30, 21, 33), Interpolation::kNearest,
                                        {255, 255, 255})));
  EXPECT_TRUE(is_same(after.labels, after.image));  // ignored is 255, too
  EXPECT_EQ(after.labels.pixels()[0], 255);

  // A quarter turn of a square: the left column becomes the upper row.
  const auto quarter = build_transform<RandomRotate>("prob: 1, degree: [90, 90]");
  const auto square = paired_sample(9, 9);
  const auto turned = applied(*quarter, square);
  for (int64_t i = 0; i < 9; ++i) {
    EXPECT_EQ(turned.labels.pixels()[8 - i], square.labels.pixels()[9 * i]);
  }
}

TEST(RandomRotateTest, AnglesLieWithinTheRangeAndSomeImagesStay) {
  const auto transform = build_transform<RandomRotate>("degree: 20");
  int same = 0;
  std::set<int64_t> columns;
  for (uint64_t i = 0; i < 100; ++i) {
    Sample before;
    before.image = Image(41, 41, 1);
    before.image.pixels()[41 * 2 + 20] = 200;  // a point 18 pixels above the centre
    before.labels = before.image;
    const auto after = applied(*transform, before, i);
    same += is_same(after.labels, before.labels) ? 1 : 0;
    const auto values = bytes_of(after.labels);
    const auto point = std::find(values.begin(), values.end(), 200);
    if (point != values.end()) columns.insert((point - values.begin()) % 41);
  }
  EXPECT_NEAR(same, 50, 20);
  // It moves by up to 18 sin(20 degrees) = 6.2 pixels to either side.
  EXPECT_GE(*columns.begin(), 13);
  EXPECT_LE(*columns.begin(), 16);
  EXPECT_GE(*columns.rbegin(), 24);
  EXPECT_LE(*columns.rbegin(), 27);
}

TEST(RandomRotateTest, WrongOptionsAreRefused) {
  EXPECT_THAT(transform_error<RandomRotate>("degree: -5"),
              EndsWith("must not be negative as one number; for a range give [low, high]"));
  EXPECT_THAT(transform_error<RandomRotate>("degree: [5, -5]"),
              EndsWith("must be [low, high], with low not above high"));
  EXPECT_THAT(transform_error<RandomRotate>("prob: 1"), HasSubstr("'degree'"));
}

// --- RandomCutOut

// Rows and columns of the pixels that differ, and how many there are.
struct ChangedPart {
  Box box;
  int64_t count = 0;
};

ChangedPart changed_part(const Image& before, const Image& after) {
  int64_t top = before.height(), left = before.width(), bottom = 0, right = 0;
  ChangedPart found;
  for (int64_t i = 0; i < before.height() * before.width(); ++i) {
    const int64_t channels = before.channels();
    if (std::equal(before.pixels() + i * channels, before.pixels() + (i + 1) * channels,
                   after.pixels() + i * channels)) {
      continue;
    }
    ++found.count;
    top = std::min(top, i / before.width());
    bottom = std::max(bottom, i / before.width() + 1);
    left = std::min(left, i % before.width());
    right = std::max(right, i % before.width() + 1);
  }
  found.box = {top, left, bottom - top, right - left};
  return found;
}

Sample plain_sample() {
  Sample sample;
  sample.image = Image(20, 30, 3);
  sample.labels = Image(20, 30, 1);
  return sample;
}

TEST(RandomCutOutTest, HolesOfTheSizeBeginAnywhereAndEndAtTheEdge) {
  const auto transform = build_transform<RandomCutOut>(
      "prob: 1, size: [6, 8], fill_in: [10, 20, 30], seg_fill_in: 255");
  bool cut_short = false;
  for (uint64_t i = 0; i < 60; ++i) {
    const auto before = plain_sample();
    const auto after = applied(*transform, before, i);
    const auto hole = changed_part(before.image, after.image);
    EXPECT_EQ(hole.count, hole.box.height * hole.box.width);
    EXPECT_EQ(hole.box.height, std::min<int64_t>(6, 20 - hole.box.top));
    EXPECT_EQ(hole.box.width, std::min<int64_t>(8, 30 - hole.box.left));
    cut_short = cut_short || hole.count < 48;
    EXPECT_EQ(changed_part(before.labels, after.labels).box, hole.box);
    const auto corner = after.image.crop({hole.box.top, hole.box.left, 1, 1});
    EXPECT_EQ(bytes_of(corner), (Bytes{10, 20, 30}));
    EXPECT_THAT(bytes_of(after.labels.crop(hole.box)), Each(255));
  }
  EXPECT_TRUE(cut_short);
}

TEST(RandomCutOutTest, SharesNumbersAndProbability) {
  const auto transform =
      build_transform<RandomCutOut>("n_holes: [1, 3], share: [0.5, 0.1], fill: 9");
  int same = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    const auto before = plain_sample();
    const auto after = applied(*transform, before, i);
    const auto holes = changed_part(before.image, after.image);
    same += holes.count == 0;
    EXPECT_LE(holes.count, 3 * 10 * 3);
    EXPECT_TRUE(is_same(after.labels, before.labels));  // they stay
  }
  EXPECT_NEAR(same, 50, 20);
}

TEST(RandomCutOutTest, WrongOptionsAreRefused) {
  EXPECT_THAT(transform_error<RandomCutOut>("n_holes: 2"),
              EndsWith("or `share` must be given, and not both"));
  EXPECT_THAT(transform_error<RandomCutOut>("size: 4, share: 0.5"),
              EndsWith("or `share` must be given, and not both"));
  EXPECT_THAT(transform_error<RandomCutOut>("size: 4, n_holes: [3, 1]"),
              EndsWith("must be [low, high], with low not above high"));
  EXPECT_THAT(transform_error<RandomCutOut>("size: 4, fill: [1, 2]"), HasSubstr("has 2 numbers"));
}

// --- RandomCrop with cat_max_ratio

// The left part is class 0, the right one class 1, what is between is ignored.
Sample halves(int64_t left, int64_t ignored) {
  Sample sample;
  sample.image = place_picture(20, 60);
  sample.labels = Image(20, 60, 1);
  for (int64_t i = 0; i < 20 * 60; ++i) {
    const int64_t x = i % 60;
    sample.labels.pixels()[i] = x < left ? 0 : x < left + ignored ? 255 : 1;
  }
  return sample;
}

double largest_share(const Image& labels) {
  std::array<int64_t, 256> counts{};
  for (const auto value : bytes_of(labels)) ++counts[value];
  const auto all = static_cast<double>(counts[0] + counts[1]);
  return all > 0 ? static_cast<double>(std::max(counts[0], counts[1])) / all : 1;
}

TEST(RandomCropTest, CatMaxRatioDrawsPlacesWithMoreThanOneClass) {
  const auto any = build_transform<RandomCrop>("crop_size: 20");
  const auto mixed = build_transform<RandomCrop>("crop_size: 20, cat_max_ratio: 0.75");
  int any_mixed = 0;
  int mixed_mixed = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    any_mixed += largest_share(applied(*any, halves(30, 0), i).labels) < 0.75;
    const auto after = applied(*mixed, halves(30, 0), i);
    mixed_mixed += largest_share(after.labels) < 0.75;
    // Image and labels are of one place.
    const int64_t left = after.image.pixels()[1];
    EXPECT_TRUE(is_same(after.labels, halves(30, 0).labels.crop({0, left, 20, 20})));
  }
  // 9 of 41 places will do; eleven draws miss them all in 0.065 of the cases.
  EXPECT_NEAR(any_mixed, 44, 20);
  EXPECT_NEAR(mixed_mixed, 187, 11);
}

TEST(RandomCropTest, CatMaxRatioDoesNotCountIgnoredPixels) {
  const auto transform = build_transform<RandomCrop>("crop_size: 20, cat_max_ratio: 0.75");
  for (uint64_t i = 0; i < 20; ++i) {
    auto random = augment(i);
    Sample sample = halves(0, 30);  // one class, and ignored pixels
    transform->apply(sample, random);
    // No place will do, so it was drawn eleven times.
    auto expected = augment(i);
    for (int draw = 0; draw < 11; ++draw) {
      expected.integer(0, 1);
      expected.integer(0, 41);
    }
    EXPECT_EQ(random(), expected());
  }
}

TEST(RandomCropTest, CatMaxRatioEndsWhereNoPlaceWillDo) {
  const auto transform =
      build_transform<RandomCrop>("crop_size: 32, cat_max_ratio: 0.5, pad_if_needed: true");
  const auto after = applied(*transform, halves(0, 60));  // all ignored, and smaller than the crop
  EXPECT_EQ(after.labels.height(), 32);
  EXPECT_EQ(after.image.width(), 32);
  EXPECT_THAT(bytes_of(after.labels), Each(255));
  EXPECT_THAT(transform_error<RandomCrop>("crop_size: 32, cat_max_ratio: 1.5"),
              HasSubstr("cat_max_ratio"));
}

}  // namespace
}  // namespace dnc
