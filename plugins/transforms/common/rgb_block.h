#pragma once

#include <algorithm>
#include <cstdint>

#include "registry/image.h"

namespace dnc {

/// Some pixels of an RGB image, each channel by itself, so that the compiler makes vector
/// instructions of a loop over them. There must be no branch in it.
struct RgbBlock {
  static constexpr int64_t kPixels = 256;
  int32_t red[kPixels];
  int32_t green[kPixels];
  int32_t blue[kPixels];
};

/// Changes the pixels of an image of three channels of bytes by work(block). Behind the last pixels
/// a block holds others, of no meaning.
template <typename F>
void change_blocks(Image& image, F work) {
  RgbBlock block{};
  const int64_t pixels = image.height() * image.width();
  uint8_t* bytes = image.pixels();
  for (int64_t done = 0; done < pixels; done += RgbBlock::kPixels) {
    const int64_t count = std::min(pixels - done, RgbBlock::kPixels);
    for (int64_t i = 0; i < count; ++i) {
      block.red[i] = bytes[3 * i];
      block.green[i] = bytes[3 * i + 1];
      block.blue[i] = bytes[3 * i + 2];
    }
    work(block);
    for (int64_t i = 0; i < count; ++i) {
      bytes[3 * i] = static_cast<uint8_t>(block.red[i]);
      bytes[3 * i + 1] = static_cast<uint8_t>(block.green[i]);
      bytes[3 * i + 2] = static_cast<uint8_t>(block.blue[i]);
    }
    bytes += 3 * count;
  }
}

/// std::round() of what is not below 0, without a call: exact.
inline int32_t round_positive(double value) {
  const auto whole = static_cast<int32_t>(value);
  return whole + (value - whole >= 0.5 ? 1 : 0);
}

}  // namespace dnc
