#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

/// A thread has a pixel of the result, whose channels lie side by side.
template <typename T>
__global__ void normalize_pixels(ImageNormalization in, T* result) {
  const int64_t pixels = in.count * in.out_height * in.out_width;
  for (int64_t i = number_in_grid(); i < pixels; i += threads_in_grid()) {
    const int64_t image = i / (in.out_height * in.out_width);
    int64_t y = i / in.out_width % in.out_height, x = i % in.out_width;
    if (in.flips && in.flips[image]) x = in.out_width - 1 - x;
    if (in.corners) {
      y += in.corners[2 * image];
      x += in.corners[2 * image + 1];
    }
    const bool inside = y >= 0 && y < in.height && x >= 0 && x < in.width;
    const int64_t at = image * in.image_stride + y * in.row_stride + x * in.column_stride;
    for (int64_t c = 0; c < in.channels; ++c) {
      const float value = inside ? in.images[at + c * in.channel_stride] : 0;
      result[i * in.channels + c] = static_cast<T>((value - in.mean[c]) * in.scale[c]);
    }
  }
}

}  // namespace dnc::cuda
