#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "registry/image.h"
#include "tests/golden/golden.h"

namespace dnc {

using Bytes = std::vector<uint8_t>;

/// Pixels that depend only on the name; `picture` of tests/golden/images.py makes the same ones.
inline Image test_picture(std::string_view name, int64_t height, int64_t width, int64_t channels) {
  const auto values = golden_values(name, {height, width, channels});
  const auto bytes = ((values + 1) * 128).floor().to(torch::kUInt8).contiguous();
  return Image(height, width, channels, bytes.const_data_ptr<uint8_t>());
}

inline Bytes bytes_of(const Image& image) {
  return {image.pixels(), image.pixels() + image.size()};
}

/// Golden pixels [height, width, channels].
inline Image to_image(const torch::Tensor& pixels) {
  const auto bytes = pixels.to(torch::kUInt8).contiguous();
  return Image(bytes.size(0), bytes.size(1), bytes.size(2), bytes.const_data_ptr<uint8_t>());
}

/// Equal in size and in every pixel.
inline testing::AssertionResult is_same(const Image& actual, const Image& expected) {
  if (actual.height() != expected.height() || actual.width() != expected.width() ||
      actual.channels() != expected.channels()) {
    return testing::AssertionFailure()
           << actual.height() << " x " << actual.width() << " x " << actual.channels()
           << " pixels, expected " << expected.height() << " x " << expected.width() << " x "
           << expected.channels();
  }
  const uint8_t* const got = actual.pixels();
  const uint8_t* const want = expected.pixels();
  for (int64_t i = 0; i < actual.size(); ++i) {
    if (got[i] == want[i]) continue;
    return testing::AssertionFailure() << "byte " << i << " of " << actual.size() << " is "
                                       << int{got[i]} << ", expected " << int{want[i]};
  }
  return testing::AssertionSuccess();
}

/// How far two images of one size are apart, in levels of 255.
struct PixelDifference {
  double mean = 0;                // of the absolute differences
  std::array<double, 3> shift{};  // of the differences of each channel, with their sign
};
inline PixelDifference difference(const Image& actual, const Image& expected) {
  EXPECT_EQ(actual.height(), expected.height());
  EXPECT_EQ(actual.width(), expected.width());
  EXPECT_EQ(actual.channels(), expected.channels());
  if (actual.size() != expected.size()) return {255, {255, 255, 255}};
  PixelDifference found;
  const auto pixels = static_cast<double>(actual.height() * actual.width());
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double one = int{actual.pixels()[i]} - int{expected.pixels()[i]};
    found.mean += std::abs(one) / static_cast<double>(actual.size());
    found.shift[static_cast<size_t>(i % actual.channels())] += one / pixels;
  }
  return found;
}

/// A file in memory that notes what is decoded of it.
class RecordingImage final : public EncodedImage {
 public:
  /// `reduces`: it can be decoded at a part of its size.
  explicit RecordingImage(Image image, bool reduces = false)
      : image_(std::move(image)), reduces_(reduces) {}

  int64_t height() const override { return image_.height(); }
  int64_t width() const override { return image_.width(); }
  void decode(const Box& box, uint8_t* out) const override {
    decoded_.push_back(box);
    const Image part = image_.crop(box);
    std::copy_n(std::as_const(part).pixels(), part.size(), out);
  }
  bool decode_reduced(int64_t factor, const Box& box, uint8_t* out) const override {
    if (!reduces_) return false;
    factors_.push_back(factor);
    for (int64_t y = box.top; y < box.top + box.height; ++y) {
      for (int64_t x = box.left; x < box.left + box.width; ++x) {
        for (int64_t c = 0; c < 3; ++c) *out++ = mean_of(factor, y, x, c);
      }
    }
    return true;
  }
  const std::vector<Box>& decoded() const { return decoded_; }
  const std::vector<int64_t>& factors() const { return factors_; }

 private:
  uint8_t mean_of(int64_t factor, int64_t row, int64_t column, int64_t channel) const {
    const int64_t bottom = std::min((row + 1) * factor, height());
    const int64_t right = std::min((column + 1) * factor, width());
    int64_t sum = 0;
    for (int64_t y = row * factor; y < bottom; ++y) {
      for (int64_t x = column * factor; x < right; ++x) {
        sum += image_.pixels()[(y * width() + x) * 3 + channel];
      }
    }
    const int64_t count = (bottom - row * factor) * (right - column * factor);
    return static_cast<uint8_t>((sum + count / 2) / count);
  }

  Image image_;
  bool reduces_;
  mutable std::vector<Box> decoded_;
  mutable std::vector<int64_t> factors_;
};

}  // namespace dnc
