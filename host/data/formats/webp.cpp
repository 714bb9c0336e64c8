// WebP through libwebp. No other file names that library.

#include <webp/decode.h>

#include <string_view>

#include "host/data/formats/format.h"

namespace dnc {
namespace {

std::string_view text(std::span<const uint8_t> bytes, size_t offset, size_t size) {
  return {reinterpret_cast<const char*>(bytes.data()) + offset, size};
}

bool matches(std::span<const uint8_t> bytes) {
  return bytes.size() >= 12 && text(bytes, 0, 4) == "RIFF" && text(bytes, 8, 4) == "WEBP";
}

// A file is a row of chunks: type, length, data, and a byte more where the length is odd.
int find_orientation(std::span<const uint8_t> bytes) {
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const uint64_t length = little32(bytes, at + 4);
    if (length > bytes.size() - at - 8) break;
    if (text(bytes, at, 4) == "EXIF") {
      const size_t prefix = length >= 6 && text(bytes, at + 8, 4) == "Exif" ? 6 : 0;
      return read_exif_orientation(bytes.subspan(at + 8 + prefix, length - prefix));
    }
    at += 8 + length + length % 2;
  }
  return 1;
}

ImageHeader read_header(const ImageFile& file) {
  WebPBitstreamFeatures features;
  const auto status = WebPGetFeatures(file.bytes.data(), file.bytes.size(), &features);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) file.fail("the WebP ends early (in its header)");
  if (status != VP8_STATUS_OK) file.fail("the WebP is damaged (in its header)");
  if (features.has_animation != 0) file.fail("is an animated WebP; only still images are read");
  return {features.height, features.width, find_orientation(file.bytes)};
}

void decode(const ImageFile& file, const ImageHeader& header, const Box& box, const DecodeOptions&,
            uint8_t* out) {
  const auto stride = static_cast<size_t>(header.width * 3);
  std::vector<uint8_t> image(stride * static_cast<size_t>(header.height));
  if (WebPDecodeRGBInto(file.bytes.data(), file.bytes.size(), image.data(), image.size(),
                        static_cast<int>(stride)) == nullptr) {
    file.fail("the WebP is damaged or ends early");
  }
  copy_rgb_box(image.data(), header.width, box, out);
}

}  // namespace

const ImageFormat kWebpFormat{"WebP", matches, read_header, decode};

}  // namespace dnc
