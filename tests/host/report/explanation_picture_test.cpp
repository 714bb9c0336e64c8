#include "host/report/explanation_picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>

namespace dnc::report {
namespace {

Image gray(int64_t height, int64_t width, uint8_t level) {
  Image image(height, width, 3);
  std::fill_n(image.pixels(), image.size(), level);
  return image;
}

std::array<int, 3> colour_at(const Image& image, int64_t y, int64_t x) {
  const auto* pixel = image.pixels() + (y * image.width() + x) * 3;
  return {pixel[0], pixel[1], pixel[2]};
}

TEST(HeatPicture, IsOrangeForBlueAgainstAndGrayWhereNothingIs) {
  const HeatMap map{1, 5, {0, 2, -2, 1, NAN}};
  EXPECT_EQ(map.peak(), 2);
  const auto picture = heat_picture(gray(1, 5, 100), map);
  EXPECT_EQ(colour_at(picture, 0, 0), (std::array{100, 100, 100}));
  EXPECT_EQ(colour_at(picture, 0, 4), (std::array{100, 100, 100}));
  const auto strong = colour_at(picture, 0, 1), against = colour_at(picture, 0, 2);
  EXPECT_GT(strong[0], strong[2] + 100);
  EXPECT_GT(against[2], against[0] + 100);
  EXPECT_LT(colour_at(picture, 0, 3)[0], strong[0]);
}

TEST(HeatPicture, OfAMapOfZerosIsTheImage) {
  EXPECT_EQ(colour_at(heat_picture(gray(2, 2, 9), {2, 2, {0, 0, 0, 0}}), 1, 1),
            (std::array{9, 9, 9}));
}

TEST(HeatPicture, RefusesAMapOfAnotherSize) {
  EXPECT_THROW(heat_picture(gray(2, 2, 9), {1, 4, {0, 0, 0, 0}}), std::invalid_argument);
}

TEST(Outline, LiesAroundTheBoxAndIsCutOffAtTheEdge) {
  auto image = gray(9, 9, 100);
  outline(image, {4, 4, 1, 1});
  EXPECT_EQ(colour_at(image, 4, 4)[0], 100);
  EXPECT_EQ(colour_at(image, 3, 4)[0], 255);
  EXPECT_EQ(colour_at(image, 2, 4)[0], 0);
  EXPECT_EQ(colour_at(image, 1, 4)[0], 100);
  outline(image, {0, 0, 9, 9});
  EXPECT_EQ(colour_at(image, 0, 0)[0], 100);
}

TEST(MarkedCrop, HasItsPixelInTheFrame) {
  auto image = gray(40, 40, 50);
  std::fill_n(image.pixels() + (20 * 40 + 30) * 3, 3, uint8_t{200});
  const auto crop = marked_crop(image, 30, 20, 16);
  EXPECT_EQ(crop.height(), 96);
  EXPECT_EQ(colour_at(crop, 8 * 6 + 3, 8 * 6 + 3)[0], 200);
  EXPECT_EQ(colour_at(crop, 8 * 6 + 3, 8 * 6 - 3)[0], 255);
  EXPECT_EQ(colour_at(crop, 3, 3)[0], 50);

  // At the edge the square stays inside, and the frame is where the pixel is.
  image.pixels()[(39 * 40 + 2) * 3] = 201;
  const auto corner = marked_crop(image, 2, 39, 16);
  EXPECT_EQ(colour_at(corner, 15 * 6 + 3, 2 * 6 + 3)[0], 201);
  EXPECT_EQ(colour_at(corner, 15 * 6 + 3, 2 * 6 - 3)[0], 255);
  EXPECT_EQ(colour_at(corner, 3, 93)[0], 50);

  const auto low = marked_crop(gray(8, 40, 50), 30, 4, 16);
  EXPECT_EQ(colour_at(low, 3, 3)[0], 0) << "black beyond the image";
  EXPECT_EQ(colour_at(low, 4 * 6 + 3, 3)[0], 50) << "which lies in the middle";
}

TEST(PictureSheet, ScalesARowToOneHeightAndSetsGroupsApart) {
  // A photo and its map; two crops; one more.
  const PictureRow row{{gray(150, 200, 10), gray(75, 100, 20)},
                       {gray(120, 120, 30), gray(96, 96, 40)},
                       {gray(120, 120, 50)}};
  const auto sheet = picture_sheet({row, row});
  EXPECT_EQ(sheet.height(), 6 + 150 + 6 + 150 + 6);
  EXPECT_EQ(sheet.width(), 6 + 200 + 6 + 200 + 24 + 150 + 6 + 150 + 24 + 150 + 6);
  const auto at = [&](int64_t x, int64_t y) { return colour_at(sheet, y, x)[0]; };
  for (const int64_t y : {6, 155, 162, 311}) {
    EXPECT_EQ(at(6, y), 10);
    EXPECT_EQ(at(411, y), 20) << "the map is enlarged";
    EXPECT_EQ(at(412, y), 200) << "ground";
    EXPECT_EQ(at(436, y), 30);
    EXPECT_EQ(at(741, y), 40);
    EXPECT_EQ(at(766, y), 50);
  }
  EXPECT_EQ(at(100, 3), 200);
  EXPECT_EQ(at(100, 158), 200);
}

TEST(PictureSheet, EnlargesSmallPicturesAndShrinksLargeOnes) {
  EXPECT_EQ(picture_sheet({{{gray(28, 28, 1)}}}).height(), 6 + 112 + 6);
  EXPECT_EQ(picture_sheet({{{gray(600, 300, 1)}}}).height(), 6 + 192 + 6);
  const auto without_evidence = picture_sheet({{{gray(100, 50, 1)}, {}, {}}});
  EXPECT_EQ(without_evidence.width(), 6 + 50 + 6);
}

TEST(Shades, AreAllDifferentAndRunFromDarkToLight) {
  for (const std::array<uint8_t, 3> colour :
       {std::array<uint8_t, 3>{0, 0, 0}, {255, 255, 255}, {128, 64, 128}, {0, 0, 230}}) {
    const auto shades = shades_of(colour, 10);
    EXPECT_EQ(std::set(shades.begin(), shades.end()).size(), 10u);
    for (size_t k = 1; k < 10; ++k) {
      for (size_t c = 0; c < 3; ++c) EXPECT_GE(shades[k][c], shades[k - 1][c]);
    }
  }
  EXPECT_EQ(shades_of({10, 20, 30}, 1), (Palette{{10, 20, 30}}));
}

}  // namespace
}  // namespace dnc::report
