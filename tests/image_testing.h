#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

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

/// A file in memory that notes what is decoded of it.
class RecordingImage final : public EncodedImage {
 public:
  explicit RecordingImage(Image image) : image_(std::move(image)) {}

  int64_t height() const override { return image_.height(); }
  int64_t width() const override { return image_.width(); }
  void decode(const Box& box, uint8_t* out) const override {
    decoded_.push_back(box);
    const Image part = image_.crop(box);
    std::copy_n(std::as_const(part).pixels(), part.size(), out);
  }
  const std::vector<Box>& decoded() const { return decoded_; }

 private:
  Image image_;
  mutable std::vector<Box> decoded_;
};

}  // namespace dnc
