#include "host/report/contact_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/error.h"
#include "tests/host/report/xml.h"
#include "tests/image_testing.h"

namespace dnc::report {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

ContactSheet sheet(int64_t side, size_t rows) {
  ContactSheet sheet;
  sheet.title = "train of my.yaml";
  sheet.columns = {"original", "RandomCrop"};
  for (size_t i = 0; i < rows; ++i) {
    sheet.rows.push_back(
        {"cat <1>.png",
         "cat",
         {test_picture("sheet", side, side * 2, 3), test_picture("sheet", side, side, 1)}});
  }
  return sheet;
}

std::vector<XmlElement> page(const ContactSheet& sheet) {
  const auto html = to_html(sheet);
  return parse_xml(html.substr(html.find('\n') + 1));
}

TEST(ContactSheet, PageHasARowForEachSampleAndAColumnForEachStep) {
  const auto html = page(sheet(300, 2));
  EXPECT_THAT(texts(html, "tr"),
              ElementsAre("sampleoriginalRandomCrop", "catcat <1>.png", "catcat <1>.png"));
  const auto images = select(html, "img");
  ASSERT_THAT(images, SizeIs(4));
  EXPECT_EQ(images[0].attributes.at("width"), "224") << "photos are shrunk";
  EXPECT_EQ(images[0].attributes.at("height"), "112");
  EXPECT_EQ(images[0].attributes.at("title"), "600 x 300 pixels");
  EXPECT_EQ(images[1].attributes.at("height"), "224");
}

TEST(ContactSheet, SmallPicturesAreAllEnlargedByTheSameNumber) {
  const auto images = select(page(sheet(16, 1)), "img");
  EXPECT_EQ(images[0].attributes.at("width"), "96");
  EXPECT_EQ(images[0].attributes.at("height"), "48");
  EXPECT_EQ(images[1].attributes.at("width"), "48");
}

TEST(ContactSheet, PictureHasTheSamplesInPlace) {
  const auto small = sheet(100, 2);
  const auto picture = to_image(small);
  EXPECT_EQ(picture.height(), 2 * (100 + 6) + 6);
  EXPECT_EQ(picture.width(), 6 + 200 + 6 + 100 + 6);
  EXPECT_TRUE(is_same(picture.crop({112, 6, 100, 200}), small.rows[1].images[0]));
  EXPECT_TRUE(is_same(picture.crop({6, 212, 100, 100}), small.rows[0].images[1].to_channels(3)));
  EXPECT_EQ(picture.pixels()[0], 200) << "ground";
}

TEST(ContactSheet, RowsAndColumnsAreAsLargeAsTheirOwnPictures) {
  auto uneven = sheet(100, 2);
  uneven.rows[1].images[0] = test_picture("low", 40, 120, 3);
  uneven.rows[1].images[1] = test_picture("narrow", 50, 30, 3);
  const auto picture = to_image(uneven);
  EXPECT_EQ(picture.height(), 6 + 100 + 6 + 50 + 6);
  EXPECT_EQ(picture.width(), 6 + 200 + 6 + 100 + 6);
  EXPECT_TRUE(is_same(picture.crop({112, 212, 50, 30}), uneven.rows[1].images[1]));
}

TEST(ContactSheet, PictureThatIsTooLargeIsAnError) {
  ContactSheet large;
  large.columns.resize(700);
  large.rows.resize(700);
  for (auto& row : large.rows) row.images = {Image(224, 1, 3)};  // high rows
  large.rows[0].images.assign(700, Image(1, 224, 3));            // wide columns
  EXPECT_THROW(to_image(large), Error);
}

}  // namespace
}  // namespace dnc::report
