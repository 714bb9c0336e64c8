#include "host/data/formats/format.h"

#include <algorithm>

#include "registry/error.h"

namespace dnc {

void ImageFile::fail(const std::string& what) const { throw DataError(name + ": " + what); }

void copy_rgb_box(const uint8_t* image, int64_t width, const Box& box, uint8_t* out) {
  for (int64_t y = 0; y < box.height; ++y) {
    std::copy_n(image + ((box.top + y) * width + box.left) * 3, box.width * 3,
                out + y * box.width * 3);
  }
}

int read_exif_orientation(std::span<const uint8_t> exif) {
  constexpr uint16_t kOrientation = 0x0112;
  constexpr size_t kEntrySize = 12;
  if (exif.size() < 8 || exif[0] != exif[1] || (exif[0] != 'I' && exif[0] != 'M')) return 1;
  const bool is_little = exif[0] == 'I';
  const auto read16 = is_little ? little16 : big16;
  const uint64_t directory = (is_little ? little32 : big32)(exif, 4);
  if (directory + 2 > exif.size()) return 1;
  const size_t entries = read16(exif, directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntrySize;
    if (entry + kEntrySize > exif.size()) return 1;
    if (read16(exif, entry) != kOrientation) continue;
    const int value = read16(exif, entry + 8);
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

uint16_t little16(std::span<const uint8_t> bytes, size_t offset) {
  return static_cast<uint16_t>(bytes[offset] | bytes[offset + 1] << 8);
}

uint32_t little32(std::span<const uint8_t> bytes, size_t offset) {
  return little16(bytes, offset) | static_cast<uint32_t>(little16(bytes, offset + 2)) << 16;
}

uint16_t big16(std::span<const uint8_t> bytes, size_t offset) {
  return static_cast<uint16_t>(bytes[offset] << 8 | bytes[offset + 1]);
}

uint32_t big32(std::span<const uint8_t> bytes, size_t offset) {
  return static_cast<uint32_t>(big16(bytes, offset)) << 16 | big16(bytes, offset + 2);
}

}  // namespace dnc
