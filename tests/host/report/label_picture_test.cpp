#include "host/report/label_picture.h"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <vector>

namespace dnc::report {
namespace {

std::vector<uint8_t> bytes_of(const Image& image) {
  return {image.pixels(), image.pixels() + image.size()};
}

TEST(LabelPicture, ColoursOfTheDataSetComeFirst) {
  const ClassInfo classes{{"a", "b"}, {{1, 2, 3}, {4, 5, 6}}};
  EXPECT_EQ(palette_of(classes), classes.palette);
}

TEST(LabelPicture, ClassesWithoutColoursGetDifferentOnes) {
  ClassInfo classes;
  classes.names.resize(150);
  const auto palette = palette_of(classes);
  EXPECT_EQ(std::set(palette.begin(), palette.end()).size(), 150u);
}

TEST(LabelPicture, AnIdBecomesItsColourAndAnIgnoredOneBlack) {
  const uint8_t ids[] = {1, 255, 0};
  const auto colours = colour_labels(Image(1, 3, 1, ids), {{10, 20, 30}, {40, 50, 60}});
  EXPECT_EQ(bytes_of(colours), (std::vector<uint8_t>{40, 50, 60, 0, 0, 0, 10, 20, 30}));
}

TEST(LabelPicture, AnOverlayIsHalfOfEachAndLeavesIgnoredPixelsAlone) {
  const uint8_t pixels[] = {0, 100, 201, 7, 8, 9};
  const uint8_t ids[] = {1, 255};
  const auto mixed = overlay(Image(1, 2, 3, pixels), Image(1, 2, 1, ids), {{}, {100, 100, 255}});
  EXPECT_EQ(bytes_of(mixed), (std::vector<uint8_t>{50, 100, 228, 7, 8, 9}));
  const uint8_t gray[] = {40};
  EXPECT_EQ(bytes_of(overlay(Image(1, 1, 1, gray), Image(1, 1, 1), {{20, 40, 60}})),
            (std::vector<uint8_t>{30, 40, 50}));
  EXPECT_THROW(overlay(Image(1, 1, 3), Image(1, 2, 1), {}), std::invalid_argument);
}

TEST(LabelPicture, StandsImagesBesideEachOtherWithAGap) {
  const auto both = side_by_side({Image(2, 1, 3), Image(2, 3, 3)});
  EXPECT_EQ(both.height(), 2);
  EXPECT_EQ(both.width(), 1 + 4 + 3);
  for (int64_t y = 0; y < 2; ++y) {
    for (int64_t x = 0; x < 8; ++x) {
      EXPECT_EQ(both.pixels()[(y * 8 + x) * 3], x >= 1 && x < 5 ? 255 : 0) << x;
    }
  }
  EXPECT_THROW(side_by_side({Image(2, 1, 3), Image(3, 1, 3)}), std::invalid_argument);
}

}  // namespace
}  // namespace dnc::report
