#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "plugins/transforms/color/color_jitter.h"
#include "plugins/transforms/color/lighting.h"
#include "plugins/transforms/color/random_grayscale.h"
#include "plugins/transforms/common/affine.h"
#include "plugins/transforms/common/photometric.h"
#include "registry/error.h"
#include "tests/plugins/transforms/transform_testing.h"

namespace dnc {
namespace {

using ::testing::HasSubstr;

const Golden& golden() {
  static const Golden values = Golden::load("augment.txt");
  return values;
}

// As dim() of tests/golden/augment.py.
Image dim_picture(const std::string& name, int64_t height, int64_t width, int64_t channels) {
  Image image = test_picture(name, height, width, channels);
  uint8_t* const bytes = image.pixels();
  for (int64_t i = 0; i < image.size(); ++i) bytes[i] = static_cast<uint8_t>(bytes[i] / 2 + 40);
  return image;
}

Image changed(Image image, const std::function<void(Image&)>& change) {
  change(image);
  return image;
}

// --- Changes of colour: equal to Pillow in every bit

TEST(PhotometricTest, EqualsPillowWithEveryArgument) {
  using Change = void (*)(Image&, double);
  const std::map<std::string, std::pair<Change, std::vector<std::string>>> changes{
      {"brightness", {adjust_brightness, {"0", "0.37", "1", "1.9"}}},
      {"contrast", {adjust_contrast, {"0", "0.37", "1", "1.9"}}},
      {"saturation", {adjust_saturation, {"0", "0.37", "1", "1.9"}}},
      {"sharpness", {adjust_sharpness, {"0", "0.37", "1", "1.9"}}},
      {"hue", {adjust_hue, {"-0.5", "-0.13", "0", "0.31", "0.5"}}},
      {"posterize",
       {[](Image& image, double bits) { posterize(image, std::lround(bits)); },
        {"1", "4", "7", "8"}}},
      {"solarize", {solarize, {"0", "100", "127.5", "256"}}},
      {"solarize_add",
       {[](Image& image, double addend) { solarize_add(image, std::lround(addend)); },
        {"0", "55", "110"}}}};
  for (const int64_t channels : {1, 3}) {
    const std::string name = "color" + std::to_string(channels);
    for (const auto& [operation, change] : changes) {
      for (const auto& argument : change.second) {
        const std::string key = name + "/" + operation + "/" + argument;
        Image image = dim_picture(name, 24, 31, channels);
        change.first(image, std::stod(argument));
        EXPECT_TRUE(is_same(image, to_image(golden()[key]))) << key;
      }
    }
  }
}

TEST(PhotometricTest, EqualsPillowWithoutArguments) {
  const std::map<std::string, void (*)(Image&)> changes{{"gray", remove_color},
                                                        {"invert", invert},
                                                        {"auto_contrast", auto_contrast},
                                                        {"equalize", equalize}};
  for (const int64_t channels : {1, 3}) {
    const std::string name = "color" + std::to_string(channels);
    for (const auto& [operation, change] : changes) {
      const Image image = changed(dim_picture(name, 24, 31, channels), change);
      EXPECT_TRUE(is_same(image, to_image(golden()[name + "/" + operation]))) << operation;
    }
  }
}

TEST(PhotometricTest, HueOfDarkAndPaleColoursEqualsPillow) {
  Image image = test_picture("hue", 64, 64, 3);
  uint8_t* const bytes = image.pixels();
  constexpr int64_t kQuarter = 16 * 64 * 3;
  for (int64_t i = 0; i < kQuarter; ++i) bytes[i] /= 16;
  for (int64_t i = kQuarter; i < 2 * kQuarter; ++i) {
    bytes[i] = static_cast<uint8_t>(255 - bytes[i] / 16);
  }
  adjust_hue(image, 0.2);
  EXPECT_TRUE(is_same(image, to_image(golden()["hue"])));
}

TEST(PhotometricTest, TinyImagesEqualPillow) {
  for (const auto& [height, width] : {std::pair{2, 9}, {9, 2}, {3, 3}, {1, 1}}) {
    const std::string name = "thin" + std::to_string(height) + "x" + std::to_string(width) + "/";
    const Image image = test_picture("thin", height, width, 3);
    const auto expect = [&](const std::string& operation,
                            const std::function<void(Image&)>& change) {
      EXPECT_TRUE(is_same(changed(image, change), to_image(golden()[name + operation])))
          << name << operation;
    };
    expect("sharpness", [](Image& in) { adjust_sharpness(in, 1.9); });
    expect("equalize", equalize);
    expect("auto_contrast", auto_contrast);
  }
}

TEST(PhotometricTest, PosterizeToNoBitsIsBlack) {
  const Image image = changed(test_picture("bits", 3, 4, 3), [](Image& in) { posterize(in, 0); });
  EXPECT_TRUE(is_same(image, Image(3, 4, 3)));
}

TEST(PhotometricTest, AddRoundsAndCuts) {
  const Bytes pixel{10, 250, 3};
  const Image image = changed(Image(1, 1, 3, pixel.data()), [](Image& in) {
    add(in, {0.6, 20, -9});
  });
  EXPECT_THAT(bytes_of(image), ::testing::ElementsAre(11, 255, 0));
}

TEST(PhotometricTest, RefusesImagesOfFloats) {
  Image image(2, 2, 3);
  image.to_float();
  EXPECT_THROW(invert(image), Error);
  EXPECT_THROW(adjust_sharpness(image, 2), Error);
}

// --- Moves

TEST(AffineTest, EqualsPillow) {
  const std::map<std::string, Interpolation> filters{{"nearest", Interpolation::kNearest},
                                                     {"bilinear", Interpolation::kBilinear},
                                                     {"bicubic", Interpolation::kBicubic}};
  const std::map<std::string, Affine> moves{
      {"shear_x/-0.27", shear_x(-0.27)},     {"shear_x/0.99", shear_x(0.99)},
      {"shear_y/-0.27", shear_y(-0.27)},     {"shear_y/0.99", shear_y(0.99)},
      {"right/-7", translate(-7, 0)},        {"right/3.4", translate(3.4, 0)},
      {"down/-7", translate(0, -7)},         {"down/3.4", translate(0, 3.4)},
      {"rotate/-30", rotate(-30, 19, 26)},   {"rotate/0", rotate(0, 19, 26)},
      {"rotate/12.5", rotate(12.5, 19, 26)}, {"rotate/90", rotate(90, 19, 26)},
      {"rotate/135", rotate(135, 19, 26)},   {"rotate/180", rotate(180, 19, 26)}};
  for (const int64_t channels : {1, 3}) {
    const std::string name = "move" + std::to_string(channels);
    const Image image = test_picture(name, 19, 26, channels);
    for (const auto& [filter, interpolation] : filters) {
      for (const auto& [move, affine] : moves) {
        const std::string key = name + "/" + filter + "/" + move;
        EXPECT_TRUE(
            is_same(warp(image, affine, interpolation, {11, 22, 33}), to_image(golden()[key])))
            << key;
      }
    }
  }
}

TEST(AffineTest, LabelsArePickedAndIgnoredBeyondTheImage) {
  Sample sample = paired_sample(20, 23);
  const Image before = sample.labels;
  warp(sample, rotate(20, 20, 23), Interpolation::kBilinear, {0, 0, 0});
  EXPECT_TRUE(is_same(sample.labels,
                      warp(before, rotate(20, 20, 23), Interpolation::kNearest, {255, 255, 255})));
  EXPECT_EQ(bytes_of(sample.labels).front(), 255);
  EXPECT_EQ(bytes_of(sample.image).front(), 0);
}

// --- ColorJitter

TEST(ColorJitterTest, BrightnessIsSpreadEvenlyOverTheRange) {
  const Bytes pixel{100};
  const Image image(1, 1, 1, pixel.data());
  for (const auto& [options, low, high] : {std::tuple{"brightness: 0.4", 60.0, 140.0},
                                           {"brightness: [0.5, 2]", 50.0, 200.0},
                                           {"brightness: 1.5", 0.0, 250.0}}) {
    const auto jitter = build_transform<ColorJitter>(options);
    constexpr int kSamples = 10000;
    double sum = 0;
    for (int i = 0; i < kSamples; ++i) {
      const int value = bytes_of(apply(*jitter, image, i))[0];
      ASSERT_GE(value, low - 1);
      ASSERT_LE(value, high);
      sum += value;
    }
    // Bytes are cut, which takes half on average: 5 standard deviations of the mean.
    EXPECT_NEAR(sum / kSamples, (low + high) / 2 - 0.5,
                5 * (high - low) / std::sqrt(12.0 * kSamples));
  }
}

// Whether values are spread evenly from `low` to `high`, each cut to a whole number below it.
void expect_spread_evenly(const std::vector<double>& values, double low, double high) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) {
    ASSERT_GE(value, low - 1);
    ASSERT_LE(value, high);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / count;
  const double variance = (high - low) * (high - low) / 12;
  EXPECT_NEAR(mean, (low + high) / 2 - 0.5, 5 * std::sqrt(variance / count));
  // The square of a uniform variable about its mean has a variance of 4/5 of its own squared.
  EXPECT_NEAR(squares / count - mean * mean, variance, 5 * variance * std::sqrt(0.8 / count) + 0.1);
}

// What becomes of one byte of a picture, over many samples.
std::vector<double> draws_of(const std::string& options, const Image& image, size_t byte) {
  const auto jitter = build_transform<ColorJitter>(options);
  std::vector<double> values;
  for (int i = 0; i < 10000; ++i) values.push_back(bytes_of(apply(*jitter, image, i))[byte]);
  return values;
}

TEST(ColorJitterTest, ContrastIsSpreadEvenlyOverTheRange) {
  const Bytes pixels{50, 150};  // 50 on either side of the mean
  const Image image(1, 2, 1, pixels.data());
  expect_spread_evenly(draws_of("contrast: 0.4", image, 1), 130, 170);
  expect_spread_evenly(draws_of("contrast: [0.5, 2]", image, 1), 125, 200);
  expect_spread_evenly(draws_of("contrast: 1.5", image, 1), 100, 225);
}

TEST(ColorJitterTest, SaturationIsSpreadEvenlyOverTheRange) {
  const Bytes pixel{200, 100, 100};
  const Image image(1, 1, 3, pixel.data());
  const double gray = bytes_of(image.to_channels(1))[0];
  const double distance = 200 - gray;
  expect_spread_evenly(draws_of("saturation: 0.5", image, 0), gray + 0.5 * distance,
                       gray + 1.5 * distance);
  expect_spread_evenly(draws_of("saturation: [0, 1]", image, 0), gray, 200);
}

TEST(ColorJitterTest, HueIsSpreadEvenlyOverTheRange) {
  // A turn of red by h makes it 1530 h of green, or of blue the other way, in steps of 6.
  const Bytes red{255, 0, 0};
  const Image image(1, 1, 3, red.data());
  const auto green = draws_of("hue: 0.1", image, 1);
  const auto blue = draws_of("hue: 0.1", image, 2);
  constexpr double kMost = 153;
  // Pillow's circle has 255 steps, but its bytes go round after 256: one is lost towards blue, but
  // for the one draw in 25.5 that turns by nothing.
  constexpr double kLost = 6 * 24.5 / 25.5;
  double sum = 0, sizes = 0;
  for (size_t i = 0; i < green.size(); ++i) {
    ASSERT_TRUE(green[i] == 0 || blue[i] == 0);
    ASSERT_LE(green[i] + blue[i], kMost);
    sum += green[i] - blue[i];
    sizes += green[i] + blue[i];
  }
  const auto count = static_cast<double>(green.size());
  EXPECT_NEAR(sum / count, kLost / 2, 5 * kMost / std::sqrt(3 * count));
  // Steps are cut towards 0, which takes half of one.
  EXPECT_NEAR(sizes / count, kMost / 2 - 3 - kLost / 2, 5 * kMost / std::sqrt(12 * count));
  for (const double value : draws_of("hue: [0.05, 0.1]", image, 1)) {
    ASSERT_GE(value, 76 - 6);
    ASSERT_LE(value, kMost);
  }
}

TEST(ColorJitterTest, ChangesComeInEitherOrderEquallyOften) {
  // Brightness cuts at 255: [120, 180] * 2 is [240, 255], whose mean is gray; the other way round
  // the mean of 150 comes first.
  const Bytes pixels{120, 180};
  const Image image(1, 2, 1, pixels.data());
  const auto jitter = build_transform<ColorJitter>("brightness: [2, 2], contrast: [0, 0]");
  constexpr int kSamples = 4000;
  int contrast_last = 0;
  for (int i = 0; i < kSamples; ++i) {
    const int gray = bytes_of(apply(*jitter, image, i))[0];
    ASSERT_TRUE(gray == 248 || gray == 255) << gray;
    contrast_last += gray == 248 ? 1 : 0;
  }
  EXPECT_NEAR(contrast_last, kSamples / 2, 5 * std::sqrt(kSamples / 4.0));
}

TEST(ColorJitterTest, NothingIsTheDefault) {
  const Image image = test_picture("jitter", 5, 6, 3);
  EXPECT_TRUE(is_same(apply(*build_transform<ColorJitter>("probability: 1"), image), image));
}

TEST(ColorJitterTest, SameSampleOfTheSameEpochAlwaysLooksTheSame) {
  const Image image = test_picture("jitter", 5, 6, 3);
  const auto jitter =
      build_transform<ColorJitter>("brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1");
  EXPECT_TRUE(is_same(apply(*jitter, image, 5, 2), apply(*jitter, image, 5, 2)));
  EXPECT_FALSE(is_same(apply(*jitter, image, 5, 2), apply(*jitter, image, 6, 2)));
  EXPECT_FALSE(is_same(apply(*jitter, image, 5, 2), apply(*jitter, image, 5, 3)));
}

TEST(ColorJitterTest, RefusesBadOptions) {
  EXPECT_EQ(transform_error<ColorJitter>("hue: -0.1"),
            "test.yaml:1:16: 'hue' must not be negative as one number; for a range give [low, "
            "high]");
  EXPECT_EQ(transform_error<ColorJitter>("contrast: [2, 1]"),
            "test.yaml:1:21: 'contrast' must be [low, high], with low not above high");
  EXPECT_EQ(transform_error<ColorJitter>("brightness: -1"),
            "test.yaml:1:23: 'brightness' must be at least 0, not -1");
  EXPECT_EQ(transform_error<ColorJitter>("hue: [-0.6, 0.1]"),
            "test.yaml:1:17: 'hue.0' must be from -0.5 to 0.5, not -0.6");
}

// --- RandomGrayscale

TEST(RandomGrayscaleTest, TakesTheColourOfTheShareThatIsAskedFor) {
  const Image image = test_picture("gray", 2, 2, 3);
  const Image gray = image.to_channels(1).to_channels(3);
  const auto remove = build_transform<RandomGrayscale>("gray_prob: 0.2");
  constexpr int kSamples = 10000;
  int count = 0;
  for (int i = 0; i < kSamples; ++i) {
    const bool is_gray = is_same(apply(*remove, image, i), gray);
    ASSERT_TRUE(is_gray || is_same(apply(*remove, image, i), image));
    count += is_gray ? 1 : 0;
  }
  EXPECT_NEAR(count, kSamples * 0.2, 5 * std::sqrt(kSamples * 0.2 * 0.8));
}

TEST(RandomGrayscaleTest, RefusesImpossibleShares) {
  EXPECT_EQ(transform_error<RandomGrayscale>("probability: 1.5"),
            "test.yaml:1:24: 'probability' must be from 0 to 1, not 1.5");
}

// --- Lighting

TEST(LightingTest, AddsColoursOfImageNetsCovariance) {
  Image image(1, 1, 3);
  for (int c = 0; c < 3; ++c) image.pixels()[c] = 128;
  const auto light = build_transform<Lighting>("alphastd: 0.5");
  constexpr int kSamples = 20000;
  torch::Tensor values = torch::empty({kSamples, 3}, torch::kFloat64);
  for (int i = 0; i < kSamples; ++i) {
    const auto bytes = bytes_of(apply(*light, image, i));
    for (int c = 0; c < 3; ++c) values[i][c] = static_cast<double>(bytes[c]) - 128;
  }
  const auto vectors =
      torch::tensor(Lighting::Options().eigenvectors, torch::kFloat64).view({3, 3});
  const auto deviations = torch::tensor(Lighting::Options().eigenvalues, torch::kFloat64) * 0.5;
  const auto expected = vectors.matmul(deviations.square().diag()).matmul(vectors.t());
  // The variance of n normal values has the deviation sqrt(2 / n); rounding adds 1/12.
  const auto covariance = values.t().matmul(values) / kSamples;
  const double bound = 5 * std::sqrt(2.0 / kSamples) * expected.diag().max().item<double>() + 0.1;
  EXPECT_LT((covariance - expected).abs().max().item<double>(), bound);
  EXPECT_LT(values.mean(0).abs().max().item<double>(), 5 * 17 / std::sqrt(1.0 * kSamples));
}

TEST(LightingTest, WithoutDeviationNothingChangesAndGrayBecomesRgb) {
  const Image gray = test_picture("lighting", 3, 4, 1);
  EXPECT_TRUE(
      is_same(apply(*build_transform<Lighting>("deviation: 0"), gray), gray.to_channels(3)));
}

TEST(LightingTest, RefusesBadOptions) {
  EXPECT_THAT(transform_error<Lighting>("eigval: [1, 2]"), HasSubstr("'eigval' "));
  EXPECT_THAT(transform_error<Lighting>("eigenvectors: [1, 2]"), HasSubstr("'eigenvectors' "));
  EXPECT_EQ(transform_error<Lighting>("deviation: -1"),
            "test.yaml:1:22: 'deviation' must be at least 0, not -1");
}

}  // namespace
}  // namespace dnc
