#include "host/report/picture.h"

#include <gtest/gtest.h>

#include "host/data/image_decoder.h"
#include "tests/host/report/xml.h"
#include "tests/image_testing.h"

namespace dnc::report {
namespace {

TEST(Base64, IsThatOfRfc4648) {
  const auto text = [](const std::string& bytes) {
    return base64(std::vector<uint8_t>(bytes.begin(), bytes.end()));
  };
  EXPECT_EQ(text(""), "");
  EXPECT_EQ(text("f"), "Zg==");
  EXPECT_EQ(text("fo"), "Zm8=");
  EXPECT_EQ(text("foo"), "Zm9v");
  EXPECT_EQ(text("foobar"), "Zm9vYmFy");
}

TEST(Picture, LargeImagesAreMadeSmaller) {
  const auto picture = make_picture(test_picture("picture", 200, 100, 3), 50);
  EXPECT_EQ(picture.height, 50);
  EXPECT_EQ(picture.width, 25);
  const auto thin = make_picture(test_picture("picture", 1, 400, 1), 50);
  EXPECT_EQ(thin.height, 1);
  EXPECT_EQ(thin.width, 50);
  EXPECT_EQ(make_picture(test_picture("picture", 7, 9, 1), 50).width, 9);
}

TEST(Picture, OfNothingIsNoElement) {
  Image floats(2, 2, 3);
  floats.to_float();
  EXPECT_TRUE(make_picture(floats, 50).png.empty());
  EXPECT_TRUE(make_picture(Image(), 50).png.empty());
  EXPECT_TRUE(to_img({}, "text", "title").empty());
}

TEST(Picture, StandsInThePageItself) {
  const auto picture = make_picture(test_picture("picture", 7, 9, 3), 50);
  const auto img = parse_xml(to_img(picture, "a \"cat\"", "cat.png").html()).at(0).attributes;
  EXPECT_EQ(img.at("src"), "data:image/png;base64," + picture.png);
  EXPECT_EQ(img.at("class"), "small-image");
  EXPECT_EQ(img.at("width"), "9");
  EXPECT_EQ(img.at("alt"), "a \"cat\"");
}

}  // namespace
}  // namespace dnc::report
