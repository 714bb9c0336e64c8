#include "host/data/byte_scale.h"

#include <gtest/gtest.h>

#include "tests/image_testing.h"

namespace dnc {
namespace {

constexpr std::array<double, 3> kMean{123.675, 116.28, 103.53}, kStd{58.395, 57.12, 57.375};

Image normalised(Image image) {
  const auto channels = static_cast<size_t>(image.channels());
  image.to_float();
  for (size_t i = 0; i < static_cast<size_t>(image.size()); ++i) {
    auto& value = image.floats()[i];
    value =
        static_cast<float>((static_cast<double>(value) - kMean[i % channels]) / kStd[i % channels]);
  }
  return image;
}

TEST(ByteScale, UndoesANormalisationThatItKnows) {
  const auto image = test_picture("byte_scale", 7, 9, 3);
  EXPECT_TRUE(is_same(ByteScale(kMean, kStd).to_bytes(normalised(image)), image));
}

TEST(ByteScale, FindsTheNormalisationByItself) {
  for (const int64_t channels : {1, 3}) {
    const auto image = test_picture("byte_scale", 7, 9, channels);
    const auto floats = normalised(image);
    EXPECT_TRUE(is_same(ByteScale(image, floats).to_bytes(floats), image)) << channels;
  }
}

TEST(ByteScale, WhereItCannotKnowItStretches) {
  Image floats(1, 3, 1);
  floats.to_float();
  floats.floats()[0] = -1;
  floats.floats()[1] = 0;
  floats.floats()[2] = 1;
  const auto bytes = ByteScale(Image(2, 2, 1), floats).to_bytes(floats);
  EXPECT_EQ(bytes_of(bytes), (Bytes{0, 128, 255}));
}

TEST(ByteScale, ImagesOfOneColourAndStrayValuesStayInRange) {
  Image flat(2, 2, 3);
  auto floats = normalised(flat);
  EXPECT_EQ(ByteScale(flat, floats).to_bytes(floats).size(), 12);
  floats.floats()[0] = std::numeric_limits<float>::quiet_NaN();
  floats.floats()[1] = 1e30f;
  floats.floats()[2] = -1e30f;
  const auto bytes = ByteScale(kMean, kStd).to_bytes(floats);
  EXPECT_EQ(std::as_const(bytes).pixels()[0], 0);
  EXPECT_EQ(std::as_const(bytes).pixels()[1], 255);
  EXPECT_EQ(std::as_const(bytes).pixels()[2], 0);
}

}  // namespace
}  // namespace dnc
