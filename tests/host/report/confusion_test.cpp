#include "host/report/confusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/host/report/xml.h"

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Table matrix(size_t classes) {
  Table table{"confusion", {}, {}, std::vector<double>(classes * classes)};
  for (size_t i = 0; i < classes; ++i) {
    table.rows.push_back("c" + std::to_string(i));
    table.values[i * classes + i] = 9;
  }
  table.columns = table.rows;
  return table;
}

std::array<int, 3> pixel(const Image& image, int64_t row, int64_t column) {
  const auto* const at = image.pixels() + (row * image.width() + column) * 3;
  return {at[0], at[1], at[2]};
}

TEST(ConfusedPairs, AreThoseOffTheDiagonalMostOftenFirst) {
  auto table = matrix(3);
  table.values[1] = 1;  // c0 taken for c1
  table.values[5] = 3;  // c1 for c2
  const auto page = parse_xml(confused_pairs(table, "").html());
  EXPECT_THAT(texts(page, "tr"),
              ElementsAre("true classpredictedtimesof the class, %", "c1c2325.0", "c0c1110.0"));
}

TEST(ConfusionPicture, HasAWholeNumberOfPixelsForEachClass) {
  auto table = matrix(3);
  table.values[1] = 9;  // half of c0
  const auto image = confusion_picture(table, 12);
  ASSERT_EQ(image.height(), 12);
  ASSERT_EQ(image.width(), 12);
  EXPECT_EQ(pixel(image, 4, 4), (std::array{11, 98, 168})) << "always right: as blue as can be";
  EXPECT_EQ(pixel(image, 7, 7), pixel(image, 4, 4)) << "four pixels a class";
  EXPECT_EQ(pixel(image, 8, 4), (std::array{255, 255, 255})) << "never";
  const auto wrong = pixel(image, 0, 4);
  EXPECT_GT(wrong[0], wrong[2]) << "orange";
  EXPECT_EQ(wrong[0], std::lround(255 - 63 * std::sqrt(0.5)));
}

TEST(ConfusionPicture, OfManyClassesShowsTheLargestShareOfNeighbours) {
  auto table = matrix(40);
  table.values[39] = 1;  // a tenth of c0 is taken for c39
  const auto image = confusion_picture(table, 40);
  ASSERT_EQ(image.width(), 40) << "ten cells of four pixels, each of four classes";
  EXPECT_EQ(pixel(image, 20, 20), (std::array{11, 98, 168}));
  EXPECT_EQ(pixel(image, 0, 36)[0], std::lround(255 - 63 * std::sqrt(0.1)));
  EXPECT_EQ(pixel(image, 36, 0), (std::array{255, 255, 255}));
}

TEST(ConfusionPicture, ClassesWithoutSamplesStayWhite) {
  Table table{"confusion", {"a", "b"}, {"a", "b"}, std::vector<double>(4)};
  EXPECT_EQ(pixel(confusion_picture(table, 8), 0, 0), (std::array{255, 255, 255}));
}

}  // namespace
}  // namespace dnc::report
