#include "host/data/image_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "host/data/formats/format.h"
#include "registry/config.h"
#include "registry/error.h"
#include "registry/random.h"
#include "tests/image_testing.h"
#include "tests/temporary_folder.h"

namespace dnc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// A file in tests/golden/images and the pixels in image_files.txt that it holds.
struct File {
  const char* name;
  const char* pixels;
};
void PrintTo(const File& file, std::ostream* out) { *out << file.name; }

constexpr File kFiles[] = {
    {"420.jpg", "420"},
    {"422.jpg", "422"},
    {"444.jpg", "444"},
    {"progressive.jpg", "420"},
    {"restart.jpg", "420"},
    {"gray.jpg", "gray_jpeg"},
    {"cmyk.jpg", "cmyk_jpeg"},
    {"orientation1.jpg", "420"},
    {"orientation2.jpg", "orientation2"},
    {"orientation3.jpg", "orientation3"},
    {"orientation4.jpg", "orientation4"},
    {"orientation5.jpg", "orientation5"},
    {"orientation6.jpg", "orientation6"},
    {"orientation7.jpg", "orientation7"},
    {"orientation8.jpg", "orientation8"},
    {"rgb.png", "rgb"},
    {"rgb16.png", "rgb"},
    {"interlaced.png", "rgb"},
    {"alpha.png", "rgb"},
    {"gray.png", "gray"},
    {"gray16.png", "red"},
    {"bilevel.png", "bilevel"},
    {"palette.png", "palette"},
    {"palette_transparent.png", "palette"},
    {"orientation6.png", "rgb_orientation6"},
    {"lossy.webp", "lossy_webp"},
    {"lossless.webp", "rgb"},
    {"alpha.webp", "rgb"},
    {"orientation6.webp", "rgb_orientation6"},
    {"rgb.tif", "rgb"},
    {"alpha.tif", "rgb"},
    {"gray.tif", "gray"},
    {"palette.tif", "palette"},
    {"cmyk.tif", "rgb"},
    {"orientation6.tif", "rgb_orientation6"},
    {"rgb.bmp", "rgb"},
    {"alpha.bmp", "rgb"},
    {"palette.bmp", "palette"},
    {"bilevel.bmp", "bilevel"},
    {"rgb.ppm", "rgb"},
    {"gray.pgm", "gray"},
};

std::string fixture(const std::string& name) {
  return std::string(DNC_SOURCE_DIR "/tests/golden/images/") + name;
}

Bytes fixture_bytes(const std::string& name) {
  const std::string text = bytes_of(std::filesystem::path(fixture(name)));
  return {text.begin(), text.end()};
}

Bytes to_bytes(const std::string& text) { return {text.begin(), text.end()}; }

const Golden& golden() {
  static const Golden values = Golden::load("image_files.txt");
  return values;
}

// Opens and decodes; what the DataError says, or nothing.
std::string fault(const Bytes& bytes, const ImageDecoder::Options& options = {}) {
  return message_of<DataError>([&] { ImageDecoder(options).open(bytes, "a/b.jpg").pixels(); });
}

std::string file_fault(const std::string& path, const ImageDecoder::Options& options = {}) {
  return message_of<DataError>([&] { ImageDecoder(options).open(path).pixels(); });
}

Bytes cut(Bytes bytes, double share) {
  bytes.resize(static_cast<size_t>(static_cast<double>(bytes.size()) * share));
  return bytes;
}

class DecodedFile : public testing::TestWithParam<File> {};

TEST_P(DecodedFile, HasThePixelsOfPillow) {
  const Image image = ImageDecoder().open(fixture(GetParam().name));
  const Image expected = to_image(golden()[GetParam().pixels]);
  EXPECT_EQ(image.height(), expected.height());  // known before it is decoded
  EXPECT_EQ(image.width(), expected.width());
  EXPECT_TRUE(is_same(image, expected));
}

TEST_P(DecodedFile, AnyPartEqualsThatPartOfTheWhole) {
  const Image file = ImageDecoder().open(fixture(GetParam().name));
  const Image whole = to_image(golden()[GetParam().pixels]);
  Random random(1, Purpose::kAugment, 0, 0);
  for (int i = 0; i < 200; ++i) {
    const int64_t height = random.integer(1, whole.height() + 1);
    const int64_t width = random.integer(1, whole.width() + 1);
    const Box box{random.integer(0, whole.height() - height + 1),
                  random.integer(0, whole.width() - width + 1), height, width};
    ASSERT_TRUE(is_same(file.crop(box), whole.crop(box)))
        << box.top << ", " << box.left << ", " << height << " x " << width;
  }
}

TEST_P(DecodedFile, CutOffAnywhereIsAnErrorThatNamesIt) {
  for (const double share : {0.02, 0.3, 0.6, 0.9}) {
    EXPECT_THAT(fault(cut(fixture_bytes(GetParam().name), share)), StartsWith("a/b.jpg: "))
        << share;
  }
}

std::string name_of(const testing::TestParamInfo<File>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Fixtures, DecodedFile, testing::ValuesIn(kFiles), name_of);

TEST(ImageDecoderTest, OrientationCanBeLeftAsStored) {
  ImageDecoder::Options options;
  options.orientation = false;
  const ImageDecoder decoder(options);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const auto name = "orientation" + std::to_string(orientation) + ".jpg";
    EXPECT_TRUE(is_same(decoder.open(fixture(name)), to_image(golden()["420"]))) << name;
  }
  for (const auto* name : {"orientation6.png", "orientation6.webp"}) {
    EXPECT_TRUE(is_same(decoder.open(fixture(name)), to_image(golden()["rgb"]))) << name;
  }
}

TEST(ImageDecoderTest, ContentCountsNotTheSuffix) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(fixture("rgb.png"), folder / "wrong.jpg");
  EXPECT_TRUE(
      is_same(ImageDecoder().open((folder / "wrong.jpg").string()), to_image(golden()["rgb"])));
}

std::filesystem::path photo_folder() {
  const char* given = std::getenv("DNC_TEST_DATA");
  return std::filesystem::path(given != nullptr ? given : DNC_TEST_DATA_DEFAULT) / "photos";
}

TEST(ImageDecoderTest, PartsOfRealPhotographsEqualThoseOfTheWhole) {
  const std::filesystem::path photos = photo_folder();
  if (!std::filesystem::exists(photos)) {
    GTEST_SKIP() << photos << " is not there; set DNC_TEST_DATA to the folder of test data";
  }
  const ImageDecoder decoder;
  Random random(2, Purpose::kAugment, 0, 0);
  int64_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(photos)) {
    if (!entry.is_regular_file()) continue;
    ++count;
    const Image file = decoder.open(entry.path().string());
    const Image whole = file;
    whole.pixels();
    for (int i = 0; i < 3; ++i) {
      const int64_t height = random.integer(1, whole.height() + 1);
      const int64_t width = random.integer(1, whole.width() + 1);
      const Box box{random.integer(0, whole.height() - height + 1),
                    random.integer(0, whole.width() - width + 1), height, width};
      ASSERT_TRUE(is_same(file.crop(box), whole.crop(box))) << entry.path();
    }
  }
  EXPECT_GE(count, 1);
}

class ReducedFile : public testing::TestWithParam<const char*> {};

TEST_P(ReducedFile, HasThePixelsOfPillowAndSoHasAnyPart) {
  const std::string name = GetParam();
  const ImageFile file{name, fixture_bytes(name + ".jpg")};
  const std::string pixels = name == "progressive" || name == "restart" ? "420" : name;
  Random random(4, Purpose::kAugment, 0, 0);
  for (const int64_t factor : {2, 4, 8}) {
    const Image whole = to_image(golden()["reduced" + std::to_string(factor) + "/" + pixels]);
    const auto decode = [&](const Box& box) {
      Image part(box.height, box.width, 3);
      kJpegFormat.decode_reduced(file, factor, box, {}, part.pixels());
      return part;
    };
    ASSERT_TRUE(is_same(decode({0, 0, whole.height(), whole.width()}), whole)) << factor;
    for (int i = 0; i < 100; ++i) {
      const int64_t height = random.integer(1, whole.height() + 1);
      const int64_t width = random.integer(1, whole.width() + 1);
      const Box box{random.integer(0, whole.height() - height + 1),
                    random.integer(0, whole.width() - width + 1), height, width};
      ASSERT_TRUE(is_same(decode(box), whole.crop(box)))
          << "1/" << factor << ": " << box.top << ", " << box.left << ", " << height << " x "
          << width;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Fixtures, ReducedFile,
                         testing::Values("420", "422", "444", "gray", "cmyk", "progressive",
                                         "restart"),
                         [](const auto& info) { return std::string(info.param); });

// Fixtures that say orientation 6, with another one.
Bytes with_orientation(Bytes bytes, uint8_t orientation) {
  const Bytes entry{0x01, 0x12, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00, 0x06};
  const auto found = std::search(bytes.begin(), bytes.end(), entry.begin(), entry.end());
  if (found == bytes.end()) throw std::runtime_error("no orientation");
  found[9] = orientation;
  return bytes;
}

TEST(ImageDecoderTest, ReducedFilesDoNotShiftInAnyOrientation) {
  const ImageDecoder decoder;
  Random random(5, Purpose::kAugment, 0, 0);
  for (const auto* name : {"ramps.jpg", "ramps_odd.jpg"}) {
    for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
      const Image file = decoder.open(with_orientation(fixture_bytes(name), orientation), name);
      bool differs = false;
      double right = 0;
      double down = 0;
      constexpr int kBoxes = 100;
      for (int i = 0; i < kBoxes; ++i) {
        // Two of four lie at an edge.
        Box box{0, 0, random.integer(128, file.height() + 1),
                random.integer(128, file.width() + 1)};
        if (i % 4 != 0) box.top = random.integer(0, file.height() - box.height + 1);
        if (i % 4 != 1) box.left = random.integer(0, file.width() - box.width + 1);
        if (i % 4 == 2) box.top = file.height() - box.height;
        const int64_t size = random.integer(6, 33);
        const Image reduced =
            file.crop(box).resize(size, size, Interpolation::kBilinear, Decoding::kReduced);
        const Image exact = file.crop(box).resize(size, size, Interpolation::kBilinear);
        const auto found = difference(reduced, exact);
        EXPECT_LT(found.mean, 1.0) << name << ", orientation " << int{orientation};
        right += found.shift[0] / kBoxes;
        down += found.shift[1] / kBoxes;
        differs |= !is_same(reduced, exact);
      }
      // A shift by one pixel of the file would be one level of red or green.
      EXPECT_NEAR(right, 0, 0.1) << name << ", orientation " << int{orientation};
      EXPECT_NEAR(down, 0, 0.1) << name << ", orientation " << int{orientation};
      // 203 x 149 pixels cannot be counted off in groups from their far end.
      const bool backwards = orientation != 1 && orientation != 5;
      EXPECT_EQ(differs, std::string(name) == "ramps.jpg" || !backwards)
          << name << int{orientation};
    }
  }
}

TEST(ImageDecoderTest, ReducedPhotographsAreCloseToExactOnes) {
  const std::filesystem::path photos = photo_folder();
  if (!std::filesystem::exists(photos)) {
    GTEST_SKIP() << photos << " is not there; set DNC_TEST_DATA to the folder of test data";
  }
  const ImageDecoder decoder;
  double sum = 0;
  int64_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(photos)) {
    if (!entry.is_regular_file()) continue;
    const Image file = decoder.open(entry.path().string());
    for (const int64_t size : {16, 32, 64}) {
      if (std::min(file.height(), file.width()) < 4 * size) continue;
      const Image reduced = file.resize(size, size, Interpolation::kBilinear, Decoding::kReduced);
      const Image whole = file;  // `file` itself stays as it is, for the next size
      const auto found = difference(reduced, whole.resize(size, size, Interpolation::kBilinear));
      EXPECT_LT(found.mean, 2.0) << entry.path();
      sum += found.mean;
      ++count;
    }
  }
  ASSERT_GE(count, 1);
  EXPECT_LT(sum / static_cast<double>(count), 0.6);
}

TEST(ImageDecoderTest, SaysWhereAReducedJpegEnds) {
  const auto bytes = with_orientation(fixture_bytes("ramps.jpg"), 1);
  const auto resize = [](const Image& image) {
    return image.resize(8, 8, Interpolation::kBilinear, Decoding::kReduced);
  };
  EXPECT_THAT(message_of<DataError>([&] { resize(ImageDecoder().open(cut(bytes, 0.6), "a.jpg")); }),
              testing::MatchesRegex("a.jpg: the JPEG ends early \\(after row [0-9]+ of 152\\)"));
  ImageDecoder::Options options;
  options.tolerate_damage = true;
  const Image image = resize(ImageDecoder(options).open(cut(bytes, 0.6), "a.jpg"));
  EXPECT_THAT(bytes_of(image.crop({7, 0, 1, 8})), testing::Each(128));  // what is missing is gray
}

TEST(ImageDecoderTest, ThreadsDecodeAtOnce) {
  const ImageDecoder decoder;
  const Image file = decoder.open(fixture("420.jpg"));
  const Image expected = to_image(golden()["420"]);
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, image = file] {
        for (int i = 0; i < 50; ++i) {
          if (!is_same(image.crop({i % 7, 3, 20, 30}), expected.crop({i % 7, 3, 20, 30}))) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0);
}

TEST(ImageDecoderTest, SaysWhatIsNoImage) {
  EXPECT_EQ(fault({}), "a/b.jpg: is empty");
  EXPECT_EQ(
      fault(to_bytes("GIF89a...")),
      "a/b.jpg: is not an image (first bytes 47 49 46 38 'GIF8'; known: JPEG, PNG, WebP, TIFF, "
      "BMP, PGM/PPM)");
  EXPECT_THAT(fault({0}), HasSubstr("is not an image (first bytes 00 '.'; known: "));
}

TEST(ImageDecoderTest, SaysWhatCannotBeOpened) {
  const TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder / name).string(); };
  EXPECT_EQ(file_fault(path("none.jpg")),
            path("none.jpg") + ": cannot be opened: No such file or directory");
  EXPECT_EQ(file_fault(folder.path().string()),
            folder.path().string() + ": is a folder, not a file");
  put_bytes(folder / "empty.jpg", "");
  EXPECT_EQ(file_fault(path("empty.jpg")), path("empty.jpg") + ": is empty");
  ImageDecoder::Options options;
  options.max_bytes = 100;
  const auto size = std::to_string(std::filesystem::file_size(fixture("rgb.png")));
  EXPECT_EQ(file_fault(fixture("rgb.png"), options),
            fixture("rgb.png") + ": has " + size + " bytes, more than the limit of 100");
}

TEST(ImageDecoderTest, SaysWhereAJpegEnds) {
  const auto bytes = fixture_bytes("420.jpg");
  EXPECT_EQ(fault(cut(bytes, 0.1)), "a/b.jpg: the JPEG ends early (in its header)");
  EXPECT_EQ(fault(cut(bytes, 0.75)), "a/b.jpg: the JPEG ends early (after row 16 of 48)");
  EXPECT_THAT(fault(cut(fixture_bytes("progressive.jpg"), 0.9)),
              HasSubstr("the JPEG ends early (after row "));
}

TEST(ImageDecoderTest, SaysWhereOtherFormatsEnd) {
  EXPECT_EQ(fault(cut(fixture_bytes("rgb.png"), 0.001)),
            "a/b.jpg: is not an image (first bytes "
            "89 50 4e 47 '.PNG'; known: JPEG, PNG, WebP, TIFF, BMP, PGM/PPM)");
  EXPECT_THAT(fault(cut(fixture_bytes("rgb.png"), 0.5)),
              testing::MatchesRegex("a/b.jpg: the PNG ends early \\(after row [0-9]+ of 48\\)"));
  EXPECT_EQ(fault(cut(fixture_bytes("lossy.webp"), 0.5)),
            "a/b.jpg: the WebP is damaged or ends early");
  EXPECT_THAT(fault(cut(fixture_bytes("gray.tif"), 0.9)),
              StartsWith("a/b.jpg: the TIFF is damaged or ends early ("));
  EXPECT_EQ(fault(cut(fixture_bytes("rgb.bmp"), 0.5)),
            "a/b.jpg: the BMP ends early (after row 23 of 48)");
  EXPECT_EQ(fault(cut(fixture_bytes("rgb.ppm"), 0.5)),
            "a/b.jpg: the PNM ends early (after row 23 of 48)");
}

TEST(ImageDecoderTest, TakesADamagedJpegAsFarAsItGoesIfAsked) {
  ImageDecoder::Options options;
  options.tolerate_damage = true;
  const Image image =
      ImageDecoder(options).open(cut(fixture_bytes("444.jpg"), 0.75), "damaged.jpg");
  EXPECT_TRUE(is_same(image.crop({0, 0, 16, 59}), to_image(golden()["444"]).crop({0, 0, 16, 59})));
  // What is missing is gray.
  EXPECT_THAT(bytes_of(image.crop({47, 0, 1, 59})), testing::Each(128));
}

TEST(ImageDecoderTest, RefusesDamagedCompressedData) {
  auto bytes = fixture_bytes("rgb.png");
  bytes[bytes.size() / 2] ^= 0x55;
  EXPECT_THAT(fault(bytes), StartsWith("a/b.jpg: the PNG is damaged after row "));
}

// Writes big-endian numbers over a header.
Bytes with_numbers(Bytes bytes, size_t offset, std::initializer_list<uint32_t> numbers, int size) {
  for (const uint32_t number : numbers) {
    for (int i = size - 1; i >= 0; --i) {
      bytes.at(offset++) = static_cast<uint8_t>(number >> (8 * i));
    }
  }
  return bytes;
}

TEST(ImageDecoderTest, RefusesHugeHeadersBeforeAnythingIsAllocated) {
  const auto huge_png = with_numbers(fixture_bytes("rgb.png"), 16, {100'000, 100'000}, 4);
  EXPECT_EQ(fault(huge_png),
            "a/b.jpg: 100000 x 100000 pixels are more than the limit of 178956970");
  const auto endless_png = with_numbers(fixture_bytes("rgb.png"), 16, {0xFFFFFFFF, 0xFFFFFFFF}, 4);
  EXPECT_THAT(fault(endless_png), HasSubstr("4294967295 x 4294967295 pixels are more than the"));
  auto jpeg = fixture_bytes("420.jpg");
  const Bytes frame{0xFF, 0xC0, 0x00, 0x11, 0x08};
  const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  ASSERT_NE(at, jpeg.end());
  const auto size_at = static_cast<size_t>(at - jpeg.begin()) + frame.size();
  EXPECT_EQ(fault(with_numbers(jpeg, size_at, {65'000, 65'000}, 2)),
            "a/b.jpg: 65000 x 65000 pixels are more than the limit of 178956970");
  EXPECT_THAT(fault(with_numbers(fixture_bytes("rgb.png"), 16, {0, 48}, 4)),
              HasSubstr("its header says 0 x 48 pixels"));
  EXPECT_THAT(fault(to_bytes("P6 99999 99999 255\n")), HasSubstr("99999 x 99999 pixels are more"));
  EXPECT_THAT(fault(to_bytes("P6 1234567890 1 255\n")), HasSubstr("a number of ten digits"));
}

TEST(ImageDecoderTest, LimitOfPixelsIsAnOption) {
  ImageDecoder::Options options;
  options.max_pixels = 59 * 48;
  EXPECT_EQ(fault(fixture_bytes("420.jpg"), options), "");
  --options.max_pixels;
  EXPECT_EQ(fault(fixture_bytes("420.jpg"), options),
            "a/b.jpg: 59 x 48 pixels are more than the limit of 2831");
}

TEST(ImageDecoderTest, RefusesAJpegWithTooManyScans) {
  ImageDecoder::Options options;
  options.max_scans = 3;
  EXPECT_THAT(fault(fixture_bytes("progressive.jpg"), options),
              StartsWith("a/b.jpg: the JPEG has more than 3 scans"));
  EXPECT_EQ(fault(fixture_bytes("420.jpg"), options), "");
}

TEST(ImageDecoderTest, RefusesKindsOfBmpThatAreNotRead) {
  auto bytes = fixture_bytes("palette.bmp");
  bytes[30] = 1;  // run-length compression
  EXPECT_THAT(fault(bytes), HasSubstr("the BMP has 8 bits a pixel and compression 1; only "));
}

TEST(ImageDecoderTest, LabelsKeepTheirNumbers) {
  const ImageDecoder decoder;
  const Image labels = to_image(golden()["labels"]);
  const Image palette = decoder.open_labels(fixture("palette.png"));
  EXPECT_TRUE(is_same(palette, labels));
  EXPECT_TRUE(is_same(decoder.open_labels(fixture("palette_transparent.png")), labels));
  EXPECT_TRUE(is_same(decoder.open_labels(fixture("labels4.png")), labels.crop({0, 0, 48, 58})));
  EXPECT_TRUE(
      is_same(decoder.open_labels(fixture("gray.png")), to_image(golden()["gray"]).to_channels(1)));
}

TEST(ImageDecoderTest, RefusesLabelsThatAreNoClassIds) {
  const auto reason = [](const std::string& name) {
    const auto message = message_of<DataError>([&] { ImageDecoder().open_labels(fixture(name)); });
    EXPECT_THAT(message, StartsWith(fixture(name) + ": "));
    return message.substr(fixture(name).size() + 2);
  };
  const std::string wanted =
      "label images are 8-bit gray or palette PNG files whose values are class ids; this one is ";
  EXPECT_EQ(reason("rgb.png"), wanted + "RGB, 8 bits a channel");
  EXPECT_EQ(reason("alpha.png"), wanted + "RGB with transparency, 8 bits a channel");
  EXPECT_EQ(reason("gray16.png"), wanted + "gray, 16 bits a channel");
  EXPECT_EQ(reason("gray.jpg"),
            "label images are PNG files, this is JPEG; other formats may change the class ids");
}

TEST(ImageDecoderTest, DamagedFilesNeverCrash) {
  ImageDecoder::Options options;
  options.max_pixels = 1 << 20;
  options.max_scans = 30;
  const ImageDecoder strict(options);
  options.tolerate_damage = true;
  const ImageDecoder lenient(options);
  Random random(3, Purpose::kSample, 0, 0);
  int64_t refused = 0;
  constexpr int kRounds = 4000;
  for (int round = 0; round < kRounds; ++round) {
    auto bytes = fixture_bytes(kFiles[random.integer(0, std::ssize(kFiles))].name);
    const int64_t changes = random.integer(1, 6);
    for (int64_t i = 0; i < changes; ++i) {
      const int64_t range =
          random.chance(0.5) ? std::min<int64_t>(std::ssize(bytes), 200) : std::ssize(bytes);
      bytes[static_cast<size_t>(random.integer(0, range))] = static_cast<uint8_t>(random());
    }
    if (random.chance(0.2)) bytes = cut(bytes, random.uniform());
    try {
      const Image image = (random.chance(0.5) ? strict : lenient).open(bytes, "x");
      if (random.chance(0.3)) {
        image.resize(3, 2, Interpolation::kBilinear, Decoding::kReduced);
      } else {
        image.pixels();
      }
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), StartsWith("x: "));
      ++refused;
    }
  }
  EXPECT_GT(refused, kRounds / 4);
  EXPECT_LT(refused, kRounds);
}

TEST(ImageDecoderTest, OptionsAreReadFromAConfig) {
  ImageDecoder::Options options;
  Fields fields;
  options.fields(fields);
  fields.read(
      parse_config("{orientation: false, tolerate_damage: true, max_pixels: 9, "
                   "max_bytes: 8, max_scans: 7}",
                   "test.yaml"));
  EXPECT_FALSE(options.orientation);
  EXPECT_TRUE(options.tolerate_damage);
  EXPECT_EQ(options.max_pixels, 9);
  EXPECT_EQ(options.max_bytes, 8);
  EXPECT_EQ(options.max_scans, 7);
}

}  // namespace
}  // namespace dnc
