#include "host/data/image_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "host/data/formats/format.h"
#include "host/files.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr const ImageFormat* kFormats[] = {&kJpegFormat, &kPngFormat, &kWebpFormat,
                                           &kTiffFormat, &kBmpFormat, &kPnmFormat};

std::string format_names() {
  std::vector<std::string> names;
  for (const auto* format : kFormats) names.emplace_back(format->name);
  return join(names);
}

// "47 49 46 38 'GIF8'"
std::string describe_start(std::span<const uint8_t> bytes) {
  std::string numbers;
  std::string text;
  for (const uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), 4))) {
    numbers += fmt::format("{:02x} ", byte);
    text += byte >= 0x20 && byte < 0x7F ? static_cast<char>(byte) : '.';
  }
  return fmt::format("{}'{}'", numbers, text);
}

const ImageFormat& find_format(const ImageFile& file) {
  if (file.bytes.empty()) file.fail("is empty");
  for (const auto* format : kFormats) {
    if (format->matches(file.bytes)) return *format;
  }
  file.fail(fmt::format("is not an image (first bytes {}; known: {})", describe_start(file.bytes),
                        format_names()));
}

ImageHeader read_header(const ImageFile& file, const ImageFormat& format, int64_t max_pixels) {
  const ImageHeader header = format.read_header(file);
  if (header.height < 1 || header.width < 1) {
    file.fail(fmt::format("the {} is damaged (its header says {} x {} pixels)", format.name,
                          header.width, header.height));
  }
  if (header.height > max_pixels / header.width) {
    file.fail(fmt::format("{} x {} pixels are more than the limit of {}", header.width,
                          header.height, max_pixels));
  }
  return header;
}

// How an EXIF orientation turns a stored image into what is to be seen: rows and columns change
// places, and then the stored rows or columns run backwards.
struct Turn {
  bool transposed = false;
  bool rows_backwards = false;
  bool columns_backwards = false;

  explicit Turn(int orientation)
      : transposed(orientation >= 5),
        rows_backwards(orientation == 3 || orientation == 4 || orientation == 6 ||
                       orientation == 7),
        columns_backwards(orientation == 2 || orientation == 3 || orientation == 7 ||
                          orientation == 8) {}
};

// The stored pixels that `box` of the turned image shows.
Box find_stored(Box box, const Turn& turn, const ImageHeader& header) {
  if (turn.transposed) box = {box.left, box.top, box.width, box.height};
  if (turn.rows_backwards) box.top = header.height - box.top - box.height;
  if (turn.columns_backwards) box.left = header.width - box.left - box.width;
  return box;
}

// Whether the pixels that become one in a smaller image are the same before and after the turn:
// they are counted from the first one, which is the last one of an axis that runs backwards.
bool keeps_groups(int64_t factor, const Turn& turn, const ImageHeader& header) {
  return (!turn.rows_backwards || header.height % factor == 0) &&
         (!turn.columns_backwards || header.width % factor == 0);
}

ImageHeader reduce(const ImageHeader& header, int64_t factor) {
  return {(header.height + factor - 1) / factor, (header.width + factor - 1) / factor,
          header.orientation};
}

// `stored` of height x width to what is seen.
void turn_pixels(const uint8_t* stored, int64_t height, int64_t width, const Turn& turn,
                 uint8_t* out) {
  const int64_t out_height = turn.transposed ? width : height;
  const int64_t out_width = turn.transposed ? height : width;
  for (int64_t y = 0; y < out_height; ++y) {
    for (int64_t x = 0; x < out_width; ++x, out += 3) {
      int64_t row = turn.transposed ? x : y;
      int64_t column = turn.transposed ? y : x;
      if (turn.rows_backwards) row = height - 1 - row;
      if (turn.columns_backwards) column = width - 1 - column;
      std::copy_n(stored + (row * width + column) * 3, 3, out);
    }
  }
}

// A file whose header is read.
class EncodedFile final : public EncodedImage {
 public:
  EncodedFile(ImageFile file, const ImageFormat& format, const ImageHeader& header,
              const DecodeOptions& options)
      : file_(std::move(file)),
        format_(format),
        header_(header),
        turn_(header.orientation),
        options_(options) {}

  int64_t height() const override { return turn_.transposed ? header_.width : header_.height; }
  int64_t width() const override { return turn_.transposed ? header_.height : header_.width; }

  void decode(const Box& box, uint8_t* out) const override {
    decode_turned(header_, box, out, [this](const Box& stored, uint8_t* pixels) {
      format_.decode(file_, header_, stored, options_, pixels);
    });
  }

  bool decode_reduced(int64_t factor, const Box& box, uint8_t* out) const override {
    if (format_.decode_reduced == nullptr || !keeps_groups(factor, turn_, header_)) return false;
    decode_turned(reduce(header_, factor), box, out, [&](const Box& stored, uint8_t* pixels) {
      format_.decode_reduced(file_, factor, stored, options_, pixels);
    });
    return true;
  }

 private:
  // `decode_stored(box, pixels)` decodes a part of the image that is stored as `header` says.
  template <typename F>
  void decode_turned(const ImageHeader& header, const Box& box, uint8_t* out,
                     F decode_stored) const {
    if (header.orientation == 1) return decode_stored(box, out);
    const Box stored = find_stored(box, turn_, header);
    std::vector<uint8_t> pixels(static_cast<size_t>(stored.height * stored.width * 3));
    decode_stored(stored, pixels.data());
    turn_pixels(pixels.data(), stored.height, stored.width, turn_, out);
  }

  ImageFile file_;
  const ImageFormat& format_;
  ImageHeader header_;
  Turn turn_;
  DecodeOptions options_;
};

}  // namespace

void ImageDecoder::Options::fields(Fields& f) {
  f("orientation", orientation,
    "Turn an image as its EXIF data asks, so that it is upright. torchvision's ImageFolder does "
    "not: "
    "switch it off to see what it sees.");
  f("tolerate_damage", tolerate_damage,
    "Take a JPEG that ends early or is damaged as far as it goes; else that is an error.");
  f("max_pixels", max_pixels, "An image with more pixels is refused before it is decoded.")
      .at_least(1);
  f("max_bytes", max_bytes, "A file with more bytes is refused before it is read.").at_least(1);
  f("max_scans", max_scans, "A progressive JPEG with more scans is refused: each costs an image.")
      .at_least(1);
}

std::vector<uint8_t> ImageDecoder::read(const std::string& path) const {
  try {
    const InputFile input(path);
    if (input.size() > static_cast<uint64_t>(options_.max_bytes)) {
      throw DataError(fmt::format("{}: has {} bytes, more than the limit of {}", path, input.size(),
                                  options_.max_bytes));
    }
    std::vector<uint8_t> bytes(input.size());
    input.read(0, bytes.data(), bytes.size());
    return bytes;
  } catch (const DataError&) {
    throw;
  } catch (const Error& error) {  // one bad file among the samples, not a failure of the program
    throw DataError(error.what());
  }
}

Image ImageDecoder::open(const std::string& path) const { return open(read(path), path); }

Image ImageDecoder::open(std::vector<uint8_t> bytes, const std::string& name) const {
  ImageFile file{name, std::move(bytes)};
  const ImageFormat& format = find_format(file);
  ImageHeader header = read_header(file, format, options_.max_pixels);
  if (!options_.orientation) header.orientation = 1;
  const DecodeOptions options{options_.tolerate_damage, options_.max_scans};
  return Image(std::make_shared<EncodedFile>(std::move(file), format, header, options));
}

Image ImageDecoder::open_labels(const std::string& path) const {
  const ImageFile file{path, read(path)};
  const ImageFormat& format = find_format(file);
  if (&format != &kPngFormat) {
    file.fail(
        fmt::format("label images are PNG files, this is {}; other formats may change the "
                    "class ids",
                    format.name));
  }
  read_header(file, format, options_.max_pixels);
  return decode_png_labels(file);
}

}  // namespace dnc
