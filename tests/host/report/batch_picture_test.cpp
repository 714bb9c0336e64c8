#include "host/report/batch_picture.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <limits>
#include <string>

#include "registry/loss.h"
#include "tests/image_testing.h"

namespace dnc::report {
namespace {

constexpr int64_t kGap = 6;  // of a ContactSheet

const Palette kPalette = {{200, 0, 0}, {0, 100, 0}};

BatchLook look() {
  return {.preprocess = {.mean = {120, 110, 100}, .std = {60, 50, 40}}, .palette = kPalette};
}

/// Bytes [count, 3, side, side], large enough to be shown as they are.
Batch batch_of(int64_t count, int64_t side = 100) {
  Batch batch;
  const auto values = golden_values("batch", {count, 3, side, side});
  batch.images = ((values + 1) * 128).floor().to(torch::kUInt8);
  batch.labels = torch::zeros({count}, torch::kInt64);
  batch.indices.resize(static_cast<size_t>(count));
  return batch;
}

Image image_at(const Image& picture, int64_t row, int64_t column, int64_t side = 100) {
  return picture.crop({kGap + row * (side + kGap), kGap + column * (side + kGap), side, side});
}

Image image_of(const Batch& batch, int64_t index) {
  return dnc::to_image(batch.images[index].permute({1, 2, 0}));
}

TEST(BatchPicture, ShowsTheFirstImagesFromLeftToRight) {
  const auto batch = batch_of(7);
  const auto picture = batch_picture(batch, 5, look());
  EXPECT_EQ(picture.height(), 2 * (100 + kGap) + kGap);
  EXPECT_EQ(picture.width(), 3 * (100 + kGap) + kGap);
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(is_same(image_at(picture, i / 3, i % 3), image_of(batch, i))) << i;
  }
  EXPECT_EQ(image_at(picture, 1, 2).pixels()[0], 200) << "the ground";
}

TEST(BatchPicture, ShowsNormalisedImagesInTheirOwnColours) {
  const auto bytes = batch_of(4);
  auto floats = bytes;
  const auto numbers = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat32).view({1, 3, 1, 1});
  };
  floats.images = (bytes.images - numbers(look().preprocess.mean)) / numbers(look().preprocess.std);
  EXPECT_TRUE(is_same(batch_picture(floats, 4, look()), batch_picture(bytes, 4, look())));
}

TEST(BatchPicture, StretchesFloatsThatWereMadeOtherwise) {
  Batch batch = batch_of(1);
  batch.images = torch::full({1, 3, 100, 100}, 100.F);
  batch.images[0][0][0][0] = -1000;
  batch.images[0][0][0][1] = 1000;
  batch.images[0][0][0][2] = std::numeric_limits<float>::quiet_NaN();
  const auto picture = image_at(batch_picture(batch, 1, look()), 0, 0);
  EXPECT_EQ(picture.pixels()[0], 0);
  EXPECT_EQ(picture.pixels()[3], 255);
}

TEST(BatchPicture, StaysSmall) {
  const auto large = batch_picture(batch_of(9, 300), 9, look());
  EXPECT_EQ(large.height(), 690 + kGap);  // of 3 x 224
  const auto many = batch_picture(batch_of(64, 100), 64, look());
  EXPECT_EQ(many.height(), 768);
  EXPECT_EQ(many.width(), 768);
}

TEST(BatchPicture, LaysTheClassesOfPixelsOverTheImages) {
  auto batch = batch_of(1);
  batch.labels = torch::full({1, 100, 100}, kIgnoredLabel);
  batch.labels[0][0][0] = 1;
  const auto picture = image_at(batch_picture(batch, 1, look()), 0, 0);
  const auto image = image_of(batch, 0);
  for (size_t channel = 0; channel < 3; ++channel) {
    EXPECT_EQ(picture.pixels()[channel], (image.pixels()[channel] + kPalette[1][channel]) / 2);
  }
  EXPECT_TRUE(is_same(picture.crop({1, 0, 99, 100}), image.crop({1, 0, 99, 100})));
}

// Scores of which class 1 is the largest in the lower half.
torch::Tensor halves(int64_t images, int64_t side) {
  auto scores = torch::zeros({images, 2, side, side});
  scores.slice(2, 0, side / 2).select(1, 0).fill_(1);
  scores.slice(2, side / 2).select(1, 1).fill_(1);
  return scores;
}

Image half_and_half(const Image& image, const std::array<uint8_t, 3>& colour) {
  Image mixed = image;
  auto* pixels = mixed.pixels();
  for (int64_t i = 0; i < mixed.size(); ++i) {
    pixels[i] = static_cast<uint8_t>((pixels[i] + colour[static_cast<size_t>(i % 3)]) / 2);
  }
  return mixed;
}

TEST(PredictionPicture, HasARowOfImageLabelsAndPredictionsForEachSample) {
  auto batch = batch_of(2);
  batch.labels = torch::ones({2, 200, 200}, torch::kInt64);  // of the image's own size
  PredictionPicture drawn(3, look());
  drawn.add(batch, halves(2, 200));
  drawn.add(batch, halves(2, 200));
  const auto picture = drawn.finish();
  EXPECT_EQ(picture.height(), 3 * (100 + kGap) + kGap) << "no more than three samples";
  EXPECT_EQ(picture.width(), 3 * (100 + kGap) + kGap);
  for (int64_t row = 0; row < 3; ++row) {
    const auto image = image_of(batch, row % 2);
    EXPECT_TRUE(is_same(image_at(picture, row, 0), image));
    EXPECT_TRUE(is_same(image_at(picture, row, 1), half_and_half(image, kPalette[1])));
    const auto predicted = image_at(picture, row, 2);
    const auto above = image.crop({0, 0, 50, 100}), below = image.crop({50, 0, 50, 100});
    EXPECT_TRUE(is_same(predicted.crop({0, 0, 50, 100}), half_and_half(above, kPalette[0])));
    EXPECT_TRUE(is_same(predicted.crop({50, 0, 50, 100}), half_and_half(below, kPalette[1])));
  }
}

TEST(PredictionPicture, BeginsAnewAfterEachEvaluation) {
  auto batch = batch_of(1);
  batch.labels = torch::zeros({1, 100, 100}, torch::kInt64);
  PredictionPicture drawn(2, look());
  EXPECT_TRUE(drawn.finish().empty());
  drawn.add(batch, halves(1, 100));
  const auto once = drawn.finish();
  EXPECT_TRUE(drawn.finish().empty());
  drawn.add(batch, halves(1, 100));
  EXPECT_TRUE(is_same(drawn.finish(), once));
}

}  // namespace
}  // namespace dnc::report
