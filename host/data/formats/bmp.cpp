// BMP without compression, 1 to 32 bits a pixel.

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "host/data/formats/format.h"

namespace dnc {
namespace {

constexpr size_t kFileHeader = 14;

// What is needed to find a pixel.
struct Layout {
  int64_t height = 0;
  int64_t width = 0;
  bool top_down = false;
  int bits = 0;         // a pixel
  uint64_t stride = 0;  // bytes a row
  uint64_t pixels = 0;  // offset of the first row
  uint64_t palette = 0;
  int64_t colors = 0;
};

bool matches(std::span<const uint8_t> bytes) {
  if (bytes.size() < kFileHeader + 4 || bytes[0] != 'B' || bytes[1] != 'M') return false;
  const uint32_t size = little32(bytes, kFileHeader);
  return size >= 40 && size <= 124;
}

// Whether the colour masks that stand behind the header are those of 32-bit pixels without them.
bool has_usual_masks(std::span<const uint8_t> bytes) {
  return bytes.size() >= kFileHeader + 52 && little32(bytes, kFileHeader + 40) == 0x00FF0000 &&
         little32(bytes, kFileHeader + 44) == 0x0000FF00 &&
         little32(bytes, kFileHeader + 48) == 0x000000FF;
}

Layout read_layout(const ImageFile& file) {
  const std::span<const uint8_t> bytes(file.bytes);
  const uint32_t header_size = little32(bytes, kFileHeader);
  if (bytes.size() < kFileHeader + 40) file.fail("the BMP ends early (in its header)");
  Layout layout;
  layout.width = static_cast<int32_t>(little32(bytes, kFileHeader + 4));
  const int64_t height = static_cast<int32_t>(little32(bytes, kFileHeader + 8));
  layout.height = std::abs(height);
  layout.top_down = height < 0;
  layout.bits = little16(bytes, kFileHeader + 14);
  const uint32_t compression = little32(bytes, kFileHeader + 16);
  const bool is_plain =
      compression == 0 || (compression == 3 && layout.bits == 32 && has_usual_masks(bytes));
  const bool is_known = layout.bits == 1 || layout.bits == 4 || layout.bits == 8 ||
                        layout.bits == 24 || layout.bits == 32;
  if (!is_plain || !is_known) {
    file.fail(
        fmt::format("the BMP has {} bits a pixel and compression {}; only 1, 4, 8, 24 and 32 "
                    "bits without compression are read",
                    layout.bits, compression));
  }
  layout.stride =
      (static_cast<uint64_t>(layout.width) * static_cast<uint64_t>(layout.bits) + 31) / 32 * 4;
  layout.pixels = little32(bytes, 10);
  layout.palette = kFileHeader + header_size;
  if (layout.bits <= 8) {
    const uint32_t colors = little32(bytes, kFileHeader + 32);
    layout.colors = colors == 0 ? int64_t{1} << layout.bits : std::min<int64_t>(colors, 256);
    if (layout.palette + static_cast<uint64_t>(layout.colors) * 4 > bytes.size()) {
      file.fail("the BMP ends early (in its palette)");
    }
  }
  return layout;
}

ImageHeader read_header(const ImageFile& file) {
  const Layout layout = read_layout(file);
  return {layout.height, layout.width};
}

void decode(const ImageFile& file, const ImageHeader&, const Box& box, const DecodeOptions&,
            uint8_t* out) {
  const Layout layout = read_layout(file);
  const uint64_t available =
      file.bytes.size() - std::min<uint64_t>(layout.pixels, file.bytes.size());
  if (available / layout.stride < static_cast<uint64_t>(layout.height)) {
    file.fail(fmt::format("the BMP ends early (after row {} of {})", available / layout.stride,
                          layout.height));
  }
  const uint8_t* const palette = file.bytes.data() + layout.palette;
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    const int64_t stored = layout.top_down ? y : layout.height - 1 - y;
    const uint8_t* const row =
        file.bytes.data() + layout.pixels + static_cast<uint64_t>(stored) * layout.stride;
    for (int64_t x = box.left; x < box.left + box.width; ++x, out += 3) {
      const uint8_t* color = row + x * layout.bits / 8;
      if (layout.bits <= 8) {
        const int shift = static_cast<int>(8 - layout.bits - x * layout.bits % 8);
        const int64_t index = (*color >> shift) & ((1 << layout.bits) - 1);
        color = palette + 4 * std::min(index, layout.colors - 1);
      }
      out[0] = color[2];  // stored as blue, green, red
      out[1] = color[1];
      out[2] = color[0];
    }
  }
}

}  // namespace

const ImageFormat kBmpFormat{"BMP", matches, read_header, decode};

}  // namespace dnc
