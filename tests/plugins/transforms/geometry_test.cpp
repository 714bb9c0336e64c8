#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <vector>

#include "plugins/transforms/geometry/center_crop.h"
#include "plugins/transforms/geometry/pad.h"
#include "plugins/transforms/geometry/random_crop.h"
#include "plugins/transforms/geometry/random_flip.h"
#include "plugins/transforms/geometry/random_resized_crop.h"
#include "plugins/transforms/geometry/resize.h"
#include "tests/plugins/transforms/transform_testing.h"

namespace dnc {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

const Golden& golden() {
  static const Golden values = Golden::load("images.txt");
  return values;
}

// --- RandomCrop

TEST(RandomCropTest, TakesEveryPlaceEquallyOften) {
  const auto crop = build_transform<RandomCrop>("size: 4");
  const Image image = place_picture(8, 6);
  std::map<std::pair<int, int>, int> counts;
  constexpr int kSamples = 15000;
  for (int i = 0; i < kSamples; ++i) {
    const Image part = apply(*crop, image, i);
    const uint8_t* const first = std::as_const(part).pixels();
    ++counts[{first[0], first[1]}];
  }
  ASSERT_EQ(counts.size(), 15U);  // 5 rows x 3 columns
  for (const auto& [place, count] : counts) {
    EXPECT_LT(place.first, 5);
    EXPECT_LT(place.second, 3);
    EXPECT_NEAR(count, 1000, 5 * std::sqrt(1000.0));  // 5 standard deviations
  }
}

TEST(RandomCropTest, EqualsPaddingFirstAndCroppingThen) {
  // [left, top, right, bottom] as in the golden file; the crop is all of the padded image.
  const Image image = test_picture("pad", 5, 7, 3);
  for (const auto* mode : {"constant", "edge", "reflect"}) {
    const auto crop = build_transform<RandomCrop>(
        std::string("size: [9, 13], padding: [2, 1, 4, 3], fill: [11, 22, 33], padding_mode: ") +
        mode);
    EXPECT_TRUE(is_same(apply(*crop, image), to_image(golden()[std::string("pad/") + mode])))
        << mode;
  }
}

TEST(RandomCropTest, PaddingIsReadAsTorchvisionReadsIt) {
  const Image image = place_picture(4, 4);
  const auto size_with = [&](const std::string& padding) {
    Sample sample;
    sample.image = image;
    auto random = augment(0);
    // Larger than any padded image, so that the error tells its size.
    const auto crop = build_transform<RandomCrop>("size: 99, padding: " + padding);
    try {
      crop->apply(sample, random);
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(size_with("3"), HasSubstr("its image is 10 x 10 pixels with padding"));
  EXPECT_THAT(size_with("[3]"), HasSubstr("10 x 10"));
  EXPECT_THAT(size_with("[1, 5]"), HasSubstr("its image is 14 x 6"));
  EXPECT_THAT(size_with("[1, 2, 3, 4]"), HasSubstr("its image is 10 x 8"));
}

TEST(RandomCropTest, PadsSmallImagesOnlyIfAsked) {
  const Image image = place_picture(5, 20);
  const auto strict = build_transform<RandomCrop>("size: 8");
  EXPECT_THROW(apply(*strict, image), DataError);
  const auto padding = build_transform<RandomCrop>("size: 8, pad_if_needed: true, fill: 200");
  bool touches_top = false;
  bool touches_bottom = false;
  for (int i = 0; i < 200; ++i) {
    const Image part = apply(*padding, image, i);
    ASSERT_EQ(part.height(), 8);
    ASSERT_EQ(part.width(), 8);
    const auto pixels = bytes_of(part);
    int64_t rows = 0;  // of the image that are seen
    for (int64_t y = 0; y < 8; ++y) rows += pixels[static_cast<size_t>(y * 24)] == 200 ? 0 : 1;
    EXPECT_LE(rows, 5);
    touches_top |= rows == 5 && pixels[0] == 0;
    touches_bottom |= rows == 5 && pixels[7 * 24] == 4;
  }
  EXPECT_TRUE(touches_top);
  EXPECT_TRUE(touches_bottom);
}

TEST(RandomCropTest, LabelsFollowAndAreIgnoredBeyondTheImage) {
  const auto crop = build_transform<RandomCrop>("size: 12, padding: 6, fill: 255");
  const auto mirrored = build_transform<RandomCrop>("size: 12, padding: 6, padding_mode: reflect");
  for (int i = 0; i < 50; ++i) {
    for (const auto* transform : {crop.get(), mirrored.get()}) {
      Sample sample = paired_sample(10, 11);
      auto random = augment(i);
      transform->apply(sample, random);
      EXPECT_TRUE(is_same(sample.labels, sample.image));  // the fill is 255, as ignored labels are
    }
  }
}

TEST(RandomCropTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<RandomCrop>("size: 4, padding: [1, 2, 3]"),
              HasSubstr("has 3 numbers; give one, two or four"));
  EXPECT_THAT(transform_error<RandomCrop>("size: 4, fill: [1, 2]"),
              HasSubstr("has 2 numbers; give one for all channels, or three"));
  EXPECT_NE(transform_error<RandomCrop>("size: 0"), "");
  EXPECT_NE(transform_error<RandomCrop>("padding: 4"), "");
  EXPECT_NE(transform_error<RandomCrop>("size: 4, fill: 256"), "");
  EXPECT_NE(transform_error<RandomCrop>("size: 4, padding_mode: wrap"), "");
  EXPECT_EQ(transform_error<RandomCrop>("crop_size: 4, pad_val: 3"), "");  // OpenMMLab's names
}

// --- RandomFlip

TEST(RandomFlipTest, FlipsTheShareThatIsAskedFor) {
  const Image image = place_picture(1, 2);
  for (const double probability : {0.0, 0.3, 0.5, 1.0}) {
    const auto flip = build_transform<RandomFlip>("probability: " + std::to_string(probability));
    constexpr int kSamples = 10000;
    int flipped = 0;
    for (int i = 0; i < kSamples; ++i) {
      const Image out = apply(*flip, image, i);
      flipped += std::as_const(out).pixels()[1] == 1 ? 1 : 0;
    }
    const double deviation = std::sqrt(kSamples * probability * (1 - probability));
    EXPECT_NEAR(flipped, kSamples * probability, 5 * deviation + 1e-9);
  }
}

TEST(RandomFlipTest, LabelsFollow) {
  const auto flip = build_transform<RandomFlip>("flip_prob: 1");
  Sample sample = paired_sample(5, 6);
  const Image before = sample.labels;
  auto random = augment(0);
  flip->apply(sample, random);
  EXPECT_TRUE(is_same(sample.labels, before.flip()));
  EXPECT_TRUE(is_same(sample.image, before.flip()));
}

TEST(RandomFlipTest, RefusesImpossibleShares) {
  EXPECT_NE(transform_error<RandomFlip>("probability: 1.5"), "");
  EXPECT_NE(transform_error<RandomFlip>("probability: -0.1"), "");
}

// --- RandomResizedCrop

RandomResizedCrop resized_crop(std::vector<double> scale, std::vector<double> ratio) {
  RandomResizedCrop::Options options;
  options.size = {8};
  options.scale = std::move(scale);
  options.ratio = std::move(ratio);
  return RandomResizedCrop(options);
}

TEST(RandomResizedCropTest, AreaAndShapeAreSpreadAsTorchvisionSpreadsThem) {
  // In a square of this scale and ratio the first try always fits.
  constexpr double kLow = 0.1;
  constexpr double kHigh = 0.5;
  const auto crop = resized_crop({kLow, kHigh}, {0.75, 4.0 / 3});
  constexpr int kSamples = 20000;
  constexpr double kSide = 1000;
  std::vector<double> areas;
  std::vector<double> ratios;
  for (int i = 0; i < kSamples; ++i) {
    auto random = augment(i);
    const Box box = crop.choose(1000, 1000, random);
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_LE(box.top + box.height, 1000);
    ASSERT_LE(box.left + box.width, 1000);
    areas.push_back(static_cast<double>(box.height * box.width) / (kSide * kSide));
    ratios.push_back(std::log(static_cast<double>(box.width) / static_cast<double>(box.height)));
  }
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  };
  // Uniform area and uniform logarithm of the ratio: 5 standard deviations of the mean, and the
  // ends to a pixel's rounding.
  const double area_deviation = (kHigh - kLow) / std::sqrt(12.0 * kSamples);
  EXPECT_NEAR(mean(areas), (kLow + kHigh) / 2, 5 * area_deviation);
  EXPECT_NEAR(*std::min_element(areas.begin(), areas.end()), kLow, 0.002);
  EXPECT_NEAR(*std::max_element(areas.begin(), areas.end()), kHigh, 0.002);
  const double widest = std::log(4.0 / 3);
  EXPECT_NEAR(mean(ratios), 0, 5 * 2 * widest / std::sqrt(12.0 * kSamples));
  EXPECT_NEAR(*std::min_element(ratios.begin(), ratios.end()), -widest, 0.01);
  EXPECT_NEAR(*std::max_element(ratios.begin(), ratios.end()), widest, 0.01);
}

TEST(RandomResizedCropTest, TakesTheCentreWhereNothingFitsAsTorchvisionDoes) {
  const auto crop = resized_crop({40, 40}, {0.75, 4.0 / 3});  // larger than any image
  const auto rows = golden()["resized_crop_fallback"];
  ASSERT_EQ(rows.size(0), 7);
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = [&](int64_t j) { return rows[i][j].item<int64_t>(); };
    auto random = augment(0);
    EXPECT_EQ(crop.choose(row(0), row(1), random), (Box{row(2), row(3), row(4), row(5)}))
        << row(0) << " x " << row(1);
  }
}

TEST(RandomResizedCropTest, StaysInsideImagesOfAnyShape) {
  const auto crop = resized_crop({0.08, 1}, {0.75, 4.0 / 3});
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 500}, {500, 1}, {2, 3}, {37, 400}}) {
    for (int i = 0; i < 300; ++i) {
      auto random = augment(i);
      const Box box = crop.choose(height, width, random);
      EXPECT_GE(box.height, 1);
      EXPECT_GE(box.width, 1);
      EXPECT_GE(box.top, 0);
      EXPECT_GE(box.left, 0);
      EXPECT_LE(box.top + box.height, height);
      EXPECT_LE(box.left + box.width, width);
    }
  }
}

TEST(RandomResizedCropTest, DecodesTheCropAndNothingElse) {
  const auto crop = build_transform<RandomResizedCrop>("size: 16, interpolation: bicubic");
  const Image whole = test_picture("lazy", 60, 70, 3);
  for (int i = 0; i < 20; ++i) {
    const auto file = std::make_shared<RecordingImage>(whole);
    const Image actual = apply(*crop, Image(file), i);
    ASSERT_EQ(file->decoded().size(), 1U);
    EXPECT_TRUE(
        is_same(actual, whole.crop(file->decoded()[0]).resize(16, 16, Interpolation::kBicubic)));
  }
}

TEST(RandomResizedCropTest, DecodesAReducedImageOnlyIfAsked) {
  const Image whole = test_picture("reduced", 120, 130, 3);
  const auto exact = build_transform<RandomResizedCrop>("size: 16, scale: [0.5, 1]");
  const auto reduced =
      build_transform<RandomResizedCrop>("size: 16, scale: [0.5, 1], decoding: reduced");
  for (int i = 0; i < 20; ++i) {
    const auto whole_file = std::make_shared<RecordingImage>(whole, true);
    const Image expected = apply(*exact, Image(whole_file), i);
    EXPECT_TRUE(whole_file->factors().empty());
    const auto file = std::make_shared<RecordingImage>(whole, true);
    const Image actual = apply(*reduced, Image(file), i);
    EXPECT_EQ(file->factors().size(), 1U);
    EXPECT_TRUE(file->decoded().empty());
    EXPECT_LT(difference(actual, expected).mean, 8);  // of noise, the worst case
  }
}

TEST(RandomResizedCropTest, LabelsFollowWithoutMixing) {
  const auto crop = build_transform<RandomResizedCrop>("size: [20, 30], interpolation: nearest");
  const auto smooth = build_transform<RandomResizedCrop>("size: [20, 30]");
  for (int i = 0; i < 20; ++i) {
    Sample sample = paired_sample(40, 50);
    auto random = augment(i);
    crop->apply(sample, random);
    EXPECT_TRUE(is_same(sample.labels, sample.image));
    Sample other = paired_sample(40, 50);
    random = augment(i);
    smooth->apply(other, random);
    EXPECT_TRUE(is_same(other.labels, sample.labels));
  }
}

TEST(RandomResizedCropTest, SameSampleOfTheSameEpochAlwaysLooksTheSame) {
  const auto crop = build_transform<RandomResizedCrop>("size: 8");
  const Image image = test_picture("same", 30, 30, 3);
  const auto pixels = [&](uint64_t index, uint64_t epoch, uint64_t seed) {
    return bytes_of(apply(*crop, image, index, epoch, seed));
  };
  EXPECT_EQ(pixels(3, 2, 1), pixels(3, 2, 1));
  EXPECT_NE(pixels(3, 2, 1), pixels(4, 2, 1));
  EXPECT_NE(pixels(3, 2, 1), pixels(3, 3, 1));
  EXPECT_NE(pixels(3, 2, 1), pixels(3, 2, 2));
}

TEST(RandomResizedCropTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<RandomResizedCrop>("size: 4, scale: [1, 0.08]"),
              HasSubstr("must be [low, high], with low not above high"));
  EXPECT_THAT(transform_error<RandomResizedCrop>("size: 4, ratio: [2, 1]"),
              HasSubstr("must be [low, high], with low not above high"));
  EXPECT_NE(transform_error<RandomResizedCrop>("size: 4, scale: 0.5"), "");
  EXPECT_NE(transform_error<RandomResizedCrop>("size: 4, scale: [0, 1]"), "");
  EXPECT_NE(transform_error<RandomResizedCrop>("size: [1, 2, 3]"), "");
  EXPECT_NE(transform_error<RandomResizedCrop>("size: 4, interpolation: lanczos"), "");
  EXPECT_THAT(transform_error<RandomResizedCrop>("size: 4, decoding: fast"),
              HasSubstr("exact, reduced"));
  EXPECT_EQ(transform_error<RandomResizedCrop>(
                "size: 4, crop_ratio_range: [0.5, 1], aspect_ratio_range: [1, 1]"),
            "");
}

// --- Resize

TEST(ResizeTest, SizesEqualTorchvisions) {
  const auto rows = golden()["resize_option"];
  ASSERT_EQ(rows.size(0), 30);
  for (int64_t i = 0; i < rows.size(0); ++i) {
    const auto row = [&](int64_t j) { return rows[i][j].item<int64_t>(); };
    Resize::Options options;
    options.size = {row(2)};
    options.max_size = row(3);
    const Image resized = apply(Resize(options), Image(row(0), row(1), 1));
    EXPECT_EQ(resized.height(), row(4)) << row(0) << " x " << row(1) << " to " << row(2);
    EXPECT_EQ(resized.width(), row(5)) << row(0) << " x " << row(1) << " to " << row(2);
  }
}

TEST(ResizeTest, OneNumberIsForTheEdgeThatIsAskedFor) {
  const auto expect_size = [](const std::string& options, int64_t height, int64_t width) {
    const Image resized = apply(*build_transform<Resize>(options), Image(40, 60, 1));
    EXPECT_EQ(resized.height(), height) << options;
    EXPECT_EQ(resized.width(), width) << options;
  };
  expect_size("size: 25", 25, 37);  // 37.5 is cut
  expect_size("size: 25, edge: short", 25, 37);
  expect_size("size: 25, edge: long", 16, 25);
  expect_size("size: 25, edge: height", 25, 37);
  expect_size("size: 25, edge: width", 16, 25);
  expect_size("size: 25, adaptive_side: width", 16, 25);  // OpenMMLab's name
  const Image high = apply(*build_transform<Resize>("size: 25, edge: long"), Image(60, 40, 1));
  EXPECT_EQ(high.height(), 25);
  EXPECT_EQ(high.width(), 16);
  const Image thin = apply(*build_transform<Resize>("size: 5, edge: width"), Image(1, 900, 1));
  EXPECT_EQ(thin.height(), 1);
}

TEST(ResizeTest, LeavesAtLeastOnePixel) {
  const Image resized = apply(*build_transform<Resize>("size: 5, max_size: 6"), Image(1, 900, 1));
  EXPECT_EQ(resized.height(), 1);
  EXPECT_EQ(resized.width(), 6);
}

TEST(ResizeTest, PixelsEqualTorchvisions) {
  const Image image = test_picture("resize_option_pixels", 30, 41, 3);
  EXPECT_TRUE(is_same(apply(*build_transform<Resize>("size: 16"), image),
                      to_image(golden()["resize_option_pixels"])));
}

TEST(ResizeTest, TwoNumbersAreTheSize) {
  const Image image = test_picture("two", 30, 41, 3);
  EXPECT_TRUE(
      is_same(apply(*build_transform<Resize>("size: [7, 50], interpolation: bicubic"), image),
              image.resize(7, 50, Interpolation::kBicubic)));
}

TEST(ResizeTest, DecodesAReducedImageOnlyIfAsked) {
  const auto file = std::make_shared<RecordingImage>(test_picture("reduced", 80, 90, 3), true);
  const Image exact = apply(*build_transform<Resize>("size: 9"), Image(file));
  EXPECT_TRUE(file->factors().empty());
  const Image reduced = apply(*build_transform<Resize>("size: 9, decoding: reduced"), Image(file));
  EXPECT_EQ(file->factors(), std::vector<int64_t>{4});
  EXPECT_LT(difference(reduced, exact).mean, 8);  // of noise, the worst case
}

TEST(ResizeTest, LabelsArePickedNotMixed) {
  Sample sample = paired_sample(20, 30);
  const Image labels = sample.labels;
  auto random = augment(0);
  build_transform<Resize>("size: 13")->apply(sample, random);
  EXPECT_TRUE(is_same(sample.labels, labels.resize(13, 19, Interpolation::kNearest)));
}

TEST(ResizeTest, LabelsKeepTheirSizeIfAsked) {
  Sample sample = paired_sample(20, 30);
  const Image labels = sample.labels;
  auto random = augment(0);
  build_transform<Resize>("size: 13, resize_labels: false")->apply(sample, random);
  EXPECT_EQ(sample.image.height(), 13);
  EXPECT_TRUE(is_same(sample.labels, labels));
}

TEST(ResizeTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<Resize>("size: [4, 5], max_size: 9"),
              HasSubstr("has no meaning with `size: [height, width]`"));
  EXPECT_THAT(transform_error<Resize>("size: 4, max_size: 4"),
              HasSubstr("must be larger than `size`"));
  EXPECT_THAT(transform_error<Resize>("size: [4, 5], edge: long"),
              HasSubstr("has no meaning with `size: [height, width]`"));
  EXPECT_THAT(transform_error<Resize>("size: 4, max_size: 9, edge: long"),
              HasSubstr("is for `edge: short`"));
  EXPECT_NE(transform_error<Resize>("size: 4, edge: top"), "");
  EXPECT_NE(transform_error<Resize>("size: -4"), "");
}

// --- CenterCrop

TEST(CenterCropTest, EqualsTorchvisions) {
  const auto names = golden().names("center_crop/");
  ASSERT_EQ(names.size(), 7U);
  for (const auto& name : names) {
    int64_t height = 0;
    int64_t width = 0;
    CenterCrop::Options options;
    options.size = {0, 0};
    ASSERT_EQ(std::sscanf(name.c_str(), "%ldx%ld_to_%ldx%ld", &height, &width, &options.size[0],
                          &options.size[1]),
              4);
    const Image image = test_picture("center_crop/" + name, height, width, 3);
    EXPECT_TRUE(
        is_same(apply(CenterCrop(options), image), to_image(golden()["center_crop/" + name])))
        << name;
  }
}

TEST(CenterCropTest, LabelsFollowAndAreIgnoredBeyondTheImage) {
  Sample sample = paired_sample(4, 9);
  const Image labels = sample.labels;
  auto random = augment(0);
  build_transform<CenterCrop>("size: 6")->apply(sample, random);
  EXPECT_TRUE(is_same(sample.labels.crop({1, 0, 4, 6}), labels.crop({0, 2, 4, 6})));
  EXPECT_THAT(bytes_of(sample.labels.crop({0, 0, 1, 6})), Each(255));
  EXPECT_THAT(bytes_of(sample.labels.crop({5, 0, 1, 6})), Each(255));
  EXPECT_THAT(bytes_of(sample.image.crop({0, 0, 1, 6})), Each(0));
}

TEST(CenterCropTest, TakesAShareOfTheShorterSideForEfficientNets) {
  const auto crop = build_transform<CenterCrop>("size: 8, crop_padding: 2");
  // 8 / 10 of 100 pixels; of 101, 80.8 are cut to 80 and begin at 10.1 and 25.1, rounded.
  const Image even = test_picture("even", 100, 120, 3);
  EXPECT_TRUE(is_same(apply(*crop, even),
                      even.crop({10, 20, 80, 80}).resize(8, 8, Interpolation::kBicubic)));
  const Image odd = test_picture("odd", 101, 131, 3);
  EXPECT_TRUE(
      is_same(apply(*crop, odd), odd.crop({10, 25, 80, 80}).resize(8, 8, Interpolation::kBicubic)));
  const Image tiny = apply(*crop, Image(1, 1, 3));
  EXPECT_EQ(tiny.height(), 8);
  EXPECT_EQ(tiny.width(), 8);
}

TEST(CenterCropTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<CenterCrop>("size: [4, 5], crop_padding: 2"),
              HasSubstr("takes a square; give one number as `size`"));
  EXPECT_NE(transform_error<CenterCrop>("size: 4, crop_padding: -1"), "");
  EXPECT_NE(transform_error<CenterCrop>("crop_padding: 1"), "");
}

// --- Pad

TEST(PadTest, EqualsTorchvisions) {
  const Image image = test_picture("pad", 5, 7, 3);
  for (const auto* mode : {"constant", "edge", "reflect"}) {
    const auto pad = build_transform<Pad>(
        std::string("padding: [2, 1, 4, 3], fill: [11, 22, 33], padding_mode: ") + mode);
    EXPECT_TRUE(is_same(apply(*pad, image), to_image(golden()[std::string("pad/") + mode])))
        << mode;
  }
}

TEST(PadTest, FillsUpAtTheRightAndAtTheBottom) {
  const Image image = place_picture(5, 7);
  const auto expect_size = [&](const std::string& options, int64_t height, int64_t width) {
    const Image padded = apply(*build_transform<Pad>(options + ", fill: 200"), image);
    ASSERT_EQ(padded.height(), height) << options;
    ASSERT_EQ(padded.width(), width) << options;
    EXPECT_TRUE(is_same(padded.crop({0, 0, 5, 7}), image)) << options;
    EXPECT_THAT(bytes_of(padded.crop({5, 0, height - 5, width})), Each(200)) << options;
    EXPECT_THAT(bytes_of(padded.crop({0, 7, height, width - 7})), Each(200)) << options;
  };
  expect_size("size: 9", 9, 9);
  expect_size("size: [6, 8]", 6, 8);
  expect_size("size: [9, 3]", 9, 7);  // never smaller
  expect_size("size_divisor: 4", 8, 8);
  expect_size("size_divisor: 5", 5, 10);
  expect_size("size_divisor: 1", 5, 7);
  expect_size("pad_to_square: true", 7, 7);
  expect_size("padding: 0", 5, 7);
}

TEST(PadTest, LabelsFollowAndAreIgnoredBeyondTheImage) {
  for (const auto* mode : {"constant", "edge", "reflect"}) {
    Sample sample = paired_sample(4, 9);
    auto random = augment(0);
    build_transform<Pad>(std::string("padding: [1, 2], fill: 255, padding_mode: ") + mode)
        ->apply(sample, random);
    EXPECT_EQ(sample.labels.height(), 8);
    EXPECT_EQ(sample.labels.width(), 11);
    EXPECT_TRUE(is_same(sample.labels, sample.image));  // the fill is 255, as ignored labels are
  }
}

TEST(PadTest, RefusesBadOptions) {
  constexpr auto* kOne = "or `size`, `size_divisor` or `pad_to_square`: give one of them, and only";
  EXPECT_THAT(transform_error<Pad>("fill: 0"), HasSubstr(kOne));
  EXPECT_THAT(transform_error<Pad>("size: 8, padding: 1"), HasSubstr(kOne));
  EXPECT_THAT(transform_error<Pad>("size_divisor: 8, pad_to_square: true"), HasSubstr(kOne));
  EXPECT_THAT(transform_error<Pad>("padding: [1, 2, 3]"),
              HasSubstr("has 3 numbers; give one, two or four"));
  EXPECT_THAT(transform_error<Pad>("padding: 1, fill: [1, 2]"),
              HasSubstr("has 2 numbers; give one for all channels, or three"));
  EXPECT_NE(transform_error<Pad>("padding: -1"), "");
  EXPECT_NE(transform_error<Pad>("size: 0"), "");
  EXPECT_NE(transform_error<Pad>("padding: 1, padding_mode: symmetric"), "");
  EXPECT_EQ(transform_error<Pad>("size_divisor: 32, pad_val: 3"), "");  // OpenMMLab's names
}

}  // namespace
}  // namespace dnc
