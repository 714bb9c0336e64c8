#include "registry/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <stdexcept>

#include "registry/error.h"
#include "registry/random.h"
#include "tests/image_testing.h"

namespace dnc {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// "31x47x3_to_16x20_bicubic"
struct ResizeCase {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t to_height = 0;
  int64_t to_width = 0;
  Interpolation interpolation{};

  explicit ResizeCase(const std::string& name) {
    std::array<char, 16> filter{};
    const int read = std::sscanf(name.c_str(), "%ldx%ldx%ld_to_%ldx%ld_%15s", &height, &width,
                                 &channels, &to_height, &to_width, filter.data());
    if (read != 6) throw std::runtime_error("not a case: " + name);
    const std::string text = filter.data();
    interpolation = text == "nearest"    ? Interpolation::kNearest
                    : text == "bilinear" ? Interpolation::kBilinear
                                         : Interpolation::kBicubic;
  }
};

const Golden& golden() {
  static const Golden values = Golden::load("images.txt");
  return values;
}

Image gray(int64_t height, int64_t width, const Bytes& pixels) {
  return Image(height, width, 1, pixels.data());
}

TEST(ImageTest, ResizeEqualsPillowBitForBit) {
  const auto names = golden().names("resize/");
  ASSERT_EQ(names.size(), 66U);
  for (const auto& name : names) {
    const ResizeCase c(name);
    const Image image = test_picture("resize/" + name, c.height, c.width, c.channels);
    EXPECT_TRUE(is_same(image.resize(c.to_height, c.to_width, c.interpolation),
                        to_image(golden()["resize/" + name])))
        << name;
  }
}

TEST(ImageTest, FloatResizeEqualsPillowBitForBit) {
  const auto names = golden().names("resize_float/");
  ASSERT_EQ(names.size(), 33U);
  for (const auto& name : names) {
    const ResizeCase c(name);
    const auto values = golden_values("resize_float/" + name, {c.height, c.width});
    Image image(c.height, c.width, 1);
    image.to_float();
    std::copy_n(values.const_data_ptr<float>(), image.size(), image.floats());
    const Image resized = image.resize(c.to_height, c.to_width, c.interpolation);
    const auto expected = golden()["resize_float/" + name].to(torch::kFloat32).contiguous();
    ASSERT_EQ(resized.size(), expected.numel());
    EXPECT_TRUE(std::equal(resized.floats(), resized.floats() + resized.size(),
                           expected.const_data_ptr<float>()))
        << name;
  }
}

TEST(ImageTest, ResizeToTheSameSizeChangesNothing) {
  const Image image = test_picture("same", 9, 7, 3);
  EXPECT_TRUE(is_same(image.resize(9, 7, Interpolation::kBicubic), image));
}

TEST(ImageTest, ResizeOfOneValueKeepsItAtAnyScale) {
  // The weights are rounded to 22 bits; their sum must still be one.
  for (const int value : {0, 1, 127, 254, 255}) {
    Image image(37, 90, 3);
    std::fill_n(image.pixels(), image.size(), static_cast<uint8_t>(value));
    for (const int64_t size : {1, 2, 13, 89, 200, 301}) {
      for (const auto filter : {Interpolation::kBilinear, Interpolation::kBicubic}) {
        const auto pixels = bytes_of(image.resize(size, size + 1, filter));
        EXPECT_THAT(pixels, ::testing::Each(value)) << size;
      }
    }
  }
}

TEST(ImageTest, ResizeRefusesNothing) {
  EXPECT_THROW(Image(3, 3, 1).resize(0, 3, Interpolation::kNearest), std::invalid_argument);
  EXPECT_THROW(Image(0, 3, 1).resize(2, 2, Interpolation::kBilinear), std::invalid_argument);
}

// Brightness grows by one a pixel, to the right in red and downwards in green.
Image ramps(int64_t height, int64_t width) {
  Image image(height, width, 3);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* const pixel = image.pixels() + (y * width + x) * 3;
      pixel[0] = static_cast<uint8_t>(x);
      pixel[1] = static_cast<uint8_t>(y);
    }
  }
  return image;
}

TEST(ImageTest, ReducesAsFarAsTwiceTheNewSizeRemains) {
  const Image whole = ramps(168, 240);
  const auto factors = [&](int64_t height, int64_t width, Interpolation interpolation) {
    const auto file = std::make_shared<RecordingImage>(whole, true);
    Image(file).crop({3, 5, 160, 224}).resize(height, width, interpolation, Decoding::kReduced);
    EXPECT_EQ(file->decoded().size() + file->factors().size(), 1U);
    return file->factors();
  };
  EXPECT_THAT(factors(10, 14, Interpolation::kBilinear), ElementsAre(8));
  EXPECT_THAT(factors(10, 15, Interpolation::kBilinear), ElementsAre(4));
  EXPECT_THAT(factors(11, 14, Interpolation::kBicubic), ElementsAre(4));
  EXPECT_THAT(factors(20, 28, Interpolation::kBilinear), ElementsAre(4));
  EXPECT_THAT(factors(20, 29, Interpolation::kBilinear), ElementsAre(2));
  EXPECT_THAT(factors(40, 56, Interpolation::kBilinear), ElementsAre(2));
  EXPECT_THAT(factors(41, 56, Interpolation::kBilinear), ElementsAre());
  EXPECT_THAT(factors(10, 14, Interpolation::kNearest), ElementsAre());  // mixes nothing
}

TEST(ImageTest, ReducedResizeDoesNotShift) {
  const Image whole = ramps(251, 203);
  Random random(1, Purpose::kAugment, 0, 0);
  for (const auto filter : {Interpolation::kBilinear, Interpolation::kBicubic}) {
    double right = 0;
    double down = 0;
    constexpr int kBoxes = 200;
    for (int i = 0; i < kBoxes; ++i) {
      const int64_t height = random.integer(100, whole.height() + 1);
      const int64_t width = random.integer(100, whole.width() + 1);
      const Box box{random.integer(0, whole.height() - height + 1),
                    random.integer(0, whole.width() - width + 1), height, width};
      const auto file = std::make_shared<RecordingImage>(whole, true);
      const int64_t size = random.integer(5, 25);
      const Image reduced =
          Image(file).crop(box).resize(size, size + 1, filter, Decoding::kReduced);
      ASSERT_EQ(file->factors().size(), 1U);
      const Image exact = whole.crop(box).resize(size, size + 1, filter);
      EXPECT_LT(difference(reduced, exact).mean, 0.75);
      // The kernels are cut off at the edge, at slightly different places.
      const Box inside{1, 1, size - 2, size - 1};
      const auto found = difference(reduced.crop(inside), exact.crop(inside));
      right += found.shift[0] / kBoxes;
      down += found.shift[1] / kBoxes;
    }
    // A shift by one pixel of the file would be one level. The means of 2, 4 or 8 neighbours are
    // all rounded up by half a level.
    EXPECT_NEAR(right, 0.5, 0.05);
    EXPECT_NEAR(down, 0.5, 0.05);
  }
}

TEST(ImageTest, ReducedResizeIsExactWhereNothingCanBeReduced) {
  const Image whole = test_picture("lazy", 90, 100, 3);
  const Image expected = whole.resize(9, 10, Interpolation::kBilinear);
  const auto resized = [](const Image& image) {
    return image.resize(9, 10, Interpolation::kBilinear, Decoding::kReduced);
  };
  EXPECT_TRUE(is_same(resized(whole), expected));  // has its pixels
  EXPECT_TRUE(is_same(resized(Image(std::make_shared<RecordingImage>(whole))), expected));
  const auto file = std::make_shared<RecordingImage>(whole, true);
  const Image decoded(file);
  decoded.pixels();
  EXPECT_TRUE(is_same(resized(decoded), expected));
  EXPECT_THAT(file->factors(), ElementsAre());
  EXPECT_FALSE(is_same(resized(Image(file)), expected));
  EXPECT_TRUE(is_same(Image(file).resize(9, 10, Interpolation::kBilinear), expected));
}

TEST(ImageTest, RefusesSizesThatMakeNoSense) {
  EXPECT_THROW(Image(-1, 3, 1), std::invalid_argument);
  EXPECT_THROW(Image(3, 3, 2), std::invalid_argument);
  EXPECT_TRUE(Image().empty());
}

TEST(ImageTest, CropTakesThePartInside) {
  const Image image = gray(3, 4, {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23});
  EXPECT_THAT(bytes_of(image.crop({1, 2, 2, 2})), ElementsAre(12, 13, 22, 23));
  for (const Box& box :
       {Box{-1, 0, 2, 2}, Box{0, -1, 2, 2}, Box{2, 0, 2, 2}, Box{0, 3, 2, 2}, Box{0, 0, -1, 2}}) {
    EXPECT_THROW(image.crop(box), std::invalid_argument);
  }
}

TEST(ImageTest, CropWithBorderEqualsTorchvisionsPad) {
  const Image image = test_picture("pad", 5, 7, 3);
  const Box box{-1, -2, 5 + 1 + 3, 7 + 2 + 4};
  const Border constant{Border::Mode::kConstant, {11, 22, 33}};
  EXPECT_TRUE(is_same(image.crop(box, constant), to_image(golden()["pad/constant"])));
  EXPECT_TRUE(is_same(image.crop(box, {Border::Mode::kEdge}), to_image(golden()["pad/edge"])));
  EXPECT_TRUE(
      is_same(image.crop(box, {Border::Mode::kReflect}), to_image(golden()["pad/reflect"])));
}

TEST(ImageTest, BorderReachesAnyDistance) {
  const Image image = gray(1, 3, {1, 2, 3});
  const Box far{0, -6, 1, 15};
  EXPECT_THAT(bytes_of(image.crop(far, {Border::Mode::kReflect})),
              ElementsAre(3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1));
  EXPECT_THAT(bytes_of(image.crop({0, 5, 1, 3}, {Border::Mode::kEdge})), ElementsAre(3, 3, 3));
  EXPECT_THAT(bytes_of(image.crop({-4, 7, 1, 2}, {Border::Mode::kConstant, {9}})),
              ElementsAre(9, 9));
  EXPECT_THAT(bytes_of(gray(1, 1, {5}).crop({-1, -1, 2, 2}, {Border::Mode::kReflect})),
              ElementsAre(5, 5, 5, 5));
}

TEST(ImageTest, FillOfABorderIsRoundedAndKeptWithinBytes) {
  const Image image = Image(1, 1, 3).crop({0, 1, 1, 1}, {Border::Mode::kConstant, {1.5F, -3, 300}});
  EXPECT_THAT(bytes_of(image), ElementsAre(2, 0, 255));
}

TEST(ImageTest, FloatImagesCropPadAndFlipLikeBytes) {
  Image image = test_picture("float", 5, 6, 3);
  const Border border{Border::Mode::kConstant, {1, 2, 3}};
  const Image expected = image.crop({-1, 2, 5, 7}, border).flip().crop({1, 1, 3, 4});
  image.to_float();
  const Image actual = image.crop({-1, 2, 5, 7}, border).flip().crop({1, 1, 3, 4});
  ASSERT_TRUE(actual.is_float());
  const auto bytes = bytes_of(expected);
  EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), actual.floats()));
}

TEST(ImageTest, FlipMirrorsPixelsNotChannels) {
  const Bytes rgb{1, 2, 3, 4, 5, 6, 7, 8, 9};
  EXPECT_THAT(bytes_of(Image(1, 3, 3, rgb.data()).flip()), ElementsAre(7, 8, 9, 4, 5, 6, 1, 2, 3));
  EXPECT_THAT(bytes_of(gray(2, 2, {1, 2, 3, 4}).flip()), ElementsAre(2, 1, 4, 3));
}

TEST(ImageTest, LumaEqualsPillows) {
  EXPECT_TRUE(is_same(test_picture("luma", 16, 16, 3).to_channels(1), to_image(golden()["luma"])));
}

TEST(ImageTest, GrayBecomesThreeEqualChannelsAndBack) {
  const Image image = gray(1, 2, {7, 200});
  const Image rgb = image.to_channels(3);
  EXPECT_THAT(bytes_of(rgb), ElementsAre(7, 7, 7, 200, 200, 200));
  EXPECT_TRUE(is_same(rgb.to_channels(1), image));
  EXPECT_THROW(image.to_channels(4), std::invalid_argument);
}

TEST(ImageTest, ToFloatKeepsTheValues) {
  Image image = gray(1, 3, {0, 128, 255});
  EXPECT_FALSE(image.is_float());
  image.to_float();
  EXPECT_TRUE(image.is_float());
  EXPECT_THAT(std::vector<float>(image.floats(), image.floats() + 3), ElementsAre(0, 128, 255));
}

TEST(ImageTest, BytesOfAFloatImageAreRefusedWithTheRemedy) {
  Image image = gray(1, 1, {0});
  image.to_float();
  try {
    image.pixels();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("move the step that normalises behind it"));
  }
}

TEST(ImageTest, DecodesOnceAndWhenThePixelsAreAskedFor) {
  const Image whole = test_picture("lazy", 10, 12, 3);
  const auto file = std::make_shared<RecordingImage>(whole);
  const Image image(file);
  EXPECT_EQ(image.height(), 10);
  EXPECT_EQ(image.width(), 12);
  EXPECT_EQ(image.channels(), 3);
  EXPECT_THAT(file->decoded(), ElementsAre());
  EXPECT_TRUE(is_same(image, whole));
  EXPECT_TRUE(is_same(image.flip().flip(), whole));
  EXPECT_THAT(file->decoded(), ElementsAre(Box{0, 0, 10, 12}));
}

TEST(ImageTest, DecodesOnlyWhatCropsLeft) {
  const Image whole = test_picture("lazy", 10, 12, 3);
  const auto file = std::make_shared<RecordingImage>(whole);
  const Image image = Image(file).crop({2, 3, 7, 8}).crop({1, 2, 4, 5});
  EXPECT_THAT(file->decoded(), ElementsAre());
  EXPECT_TRUE(is_same(image, whole.crop({3, 5, 4, 5})));
  EXPECT_THAT(file->decoded(), ElementsAre(Box{3, 5, 4, 5}));
}

TEST(ImageTest, DecodesOnlyWhatAConstantBorderLeavesToSee) {
  const Image whole = test_picture("lazy", 10, 12, 3);
  const auto file = std::make_shared<RecordingImage>(whole);
  const Border border{Border::Mode::kConstant, {1, 2, 3}};
  EXPECT_TRUE(is_same(Image(file).crop({-2, 7, 6, 9}, border), whole.crop({-2, 7, 6, 9}, border)));
  EXPECT_THAT(file->decoded(), ElementsAre(Box{0, 7, 4, 5}));
  // Nothing of the image is seen.
  EXPECT_THAT(bytes_of(Image(file).crop({20, 0, 1, 2}, border)), ElementsAre(1, 2, 3, 1, 2, 3));
  EXPECT_EQ(file->decoded().size(), 1U);
}

TEST(ImageTest, EveryOperationDecodesWhereNeeded) {
  const Image whole = test_picture("lazy", 10, 12, 3);
  const auto fresh = [&] { return Image(std::make_shared<RecordingImage>(whole)); };
  EXPECT_TRUE(is_same(fresh().flip(), whole.flip()));
  EXPECT_TRUE(is_same(fresh().to_channels(1), whole.to_channels(1)));
  EXPECT_TRUE(is_same(fresh().resize(5, 5, Interpolation::kNearest),
                      whole.resize(5, 5, Interpolation::kNearest)));
  EXPECT_TRUE(is_same(fresh().resize(10, 12, Interpolation::kNearest), whole));
  EXPECT_TRUE(is_same(fresh().crop({-1, -1, 5, 5}, {Border::Mode::kReflect}),
                      whole.crop({-1, -1, 5, 5}, {Border::Mode::kReflect})));
  Image floats = fresh();
  floats.to_float();
  EXPECT_EQ(floats.floats()[17], static_cast<float>(whole.pixels()[17]));
}

}  // namespace
}  // namespace dnc
