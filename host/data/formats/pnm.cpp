// Binary PGM and PPM: "P5" or "P6", width, height, largest value, and the pixels.

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "host/data/formats/format.h"

namespace dnc {
namespace {

struct Layout {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t white = 0;    // the largest value; above 255 each takes two bytes
  uint64_t pixels = 0;  // offset
};

bool matches(std::span<const uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
         (std::isspace(bytes[2]) != 0 || bytes[2] == '#');
}

// The next whole number of the header; a '#' begins a comment.
int64_t read_number(const ImageFile& file, uint64_t& at) {
  const auto& bytes = file.bytes;
  while (at < bytes.size() && (std::isspace(bytes[at]) != 0 || bytes[at] == '#')) {
    if (bytes[at] == '#') {
      while (at < bytes.size() && bytes[at] != '\n') ++at;
    } else {
      ++at;
    }
  }
  int64_t value = 0;
  const uint64_t begin = at;
  for (; at < bytes.size() && std::isdigit(bytes[at]) != 0; ++at) {
    value = value * 10 + (bytes[at] - '0');
    if (at - begin >= 9) file.fail("the PNM is damaged (a number of ten digits in its header)");
  }
  if (at == bytes.size()) file.fail("the PNM ends early (in its header)");
  if (at == begin) file.fail("the PNM is damaged (no number where one should be in its header)");
  return value;
}

Layout read_layout(const ImageFile& file) {
  Layout layout;
  layout.channels = file.bytes[1] == '5' ? 1 : 3;
  uint64_t at = 2;
  layout.width = read_number(file, at);
  layout.height = read_number(file, at);
  layout.white = read_number(file, at);
  if (layout.white < 1 || layout.white > 65535) {
    file.fail(fmt::format("the PNM is damaged (its largest value is {})", layout.white));
  }
  layout.pixels = at + 1;  // one white space
  return layout;
}

ImageHeader read_header(const ImageFile& file) {
  const Layout layout = read_layout(file);
  return {layout.height, layout.width};
}

void decode(const ImageFile& file, const ImageHeader&, const Box& box, const DecodeOptions&,
            uint8_t* out) {
  const Layout layout = read_layout(file);
  const int64_t sample = layout.white > 255 ? 2 : 1;
  const auto stride = static_cast<uint64_t>(layout.width * layout.channels * sample);
  const uint64_t available =
      file.bytes.size() - std::min<uint64_t>(layout.pixels, file.bytes.size());
  if (available / stride < static_cast<uint64_t>(layout.height)) {
    file.fail(
        fmt::format("the PNM ends early (after row {} of {})", available / stride, layout.height));
  }
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    const uint64_t row = layout.pixels + static_cast<uint64_t>(y) * stride;
    for (int64_t x = box.left; x < box.left + box.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t i = x * layout.channels + (layout.channels == 1 ? 0 : c);
        const uint64_t at = row + static_cast<uint64_t>(i * sample);
        const int64_t value = sample == 1 ? file.bytes[at] : big16(file.bytes, at);
        const int64_t scaled = std::min(value, layout.white) * 255;
        *out++ = static_cast<uint8_t>((2 * scaled + layout.white) / (2 * layout.white));
      }
    }
  }
}

}  // namespace

const ImageFormat kPnmFormat{"PGM/PPM", matches, read_header, decode};

}  // namespace dnc
