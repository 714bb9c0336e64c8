#pragma once

#include <memory>
#include <string>
#include <utility>

#include "registry/transform.h"
#include "tests/image_testing.h"
#include "tests/plugins/component.h"

namespace dnc {

/// A transform with the options that a config would give, e.g. "size: 4".
template <typename T>
std::shared_ptr<Transform> build_transform(const std::string& options) {
  return build_component<Transform, T>("{type: T, " + options + "}");
}

template <typename T>
std::string transform_error(const std::string& options) {
  return build_error<Transform, T>("{type: T, " + options + "}");
}

/// The random numbers of one sample of one epoch.
inline Random augment(uint64_t index, uint64_t epoch = 0, uint64_t seed = 1) {
  return Random(seed, Purpose::kAugment, epoch, index);
}

/// What becomes of an image, as sample `index`.
inline Image apply(const Transform& transform, const Image& image, uint64_t index = 0,
                   uint64_t epoch = 0, uint64_t seed = 1) {
  Sample sample;
  sample.index = static_cast<int64_t>(index);
  sample.image = image;
  auto random = augment(index, epoch, seed);
  transform.apply(sample, random);
  return sample.image;
}

/// A gray image and labels with the same values: they must stay equal.
inline Sample paired_sample(int64_t height, int64_t width) {
  Sample sample;
  sample.labels = test_picture("labels", height, width, 1);
  sample.image = sample.labels;
  return sample;
}

/// Each pixel tells its place: row, column and 0. For images of up to 256 x 256.
inline Image place_picture(int64_t height, int64_t width) {
  Image image(height, width, 3);
  uint8_t* pixel = image.pixels();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x, pixel += 3) {
      pixel[0] = static_cast<uint8_t>(y);
      pixel[1] = static_cast<uint8_t>(x);
    }
  }
  return image;
}

}  // namespace dnc
