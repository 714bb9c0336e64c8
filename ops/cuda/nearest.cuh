#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

/// A thread has a row and a class, the K products of which lie side by side.
template <typename T>
__global__ void take_nearest_of_each(const T* dots, const T* scale, int64_t rows, int64_t classes,
                                     int64_t K, int64_t stride, T* scores, uint8_t* index) {
  for (int64_t i = number_in_grid(); i < rows * classes; i += threads_in_grid()) {
    const int64_t row = i / classes, to = row * stride + i % classes;
    const T* const own = dots + i * K;
    auto best = static_cast<float>(own[0]);
    int64_t place = 0;
    for (int64_t k = 1; k < K; ++k) {
      const auto dot = static_cast<float>(own[k]);
      if (dot > best || dot != dot) {
        best = dot;
        place = k;
      }
    }
    scores[to] = static_cast<T>(best * static_cast<float>(scale[row]));
    index[to] = static_cast<uint8_t>(place);
  }
}

/// A block has a row, so that what its threads write lies side by side.
template <typename T>
__global__ void spread_each_row(const T* weights, const uint8_t* index, int64_t classes, int64_t K,
                                T* spread) {
  const int64_t row = blockIdx.x;
  const auto numbers = static_cast<uint32_t>(classes * K), per_class = static_cast<uint32_t>(K);
  for (uint32_t i = threadIdx.x; i < numbers; i += blockDim.x) {
    const int64_t from = row * classes + i / per_class;
    spread[row * numbers + i] = index[from] == i % per_class ? weights[from] : static_cast<T>(0.f);
  }
}

/// A warp has a point.
__global__ void compare_with_own(const float* points, const int64_t* rows, const int64_t* labels,
                                 const float* prototypes, int64_t count, int64_t classes, int64_t K,
                                 int64_t D, float* similarities) {
  const int64_t i = number_in_grid() / kWarp;
  const int lane = threadIdx.x % kWarp;
  if (i >= count) return;  // the whole warp
  const int64_t label = labels[i];
  const bool known = label >= 0 && label < classes;
  const float* const point = points + (rows ? rows[i] : i) * D;
  for (int64_t k = 0; k < K; ++k) {
    float dot = 0;
    if (known) {
      const float* const prototype = prototypes + (label * K + k) * D;
      for (int64_t d = lane; d < D; d += kWarp) dot += point[d] * prototype[d];
    }
    dot = sum_of_warp(dot);
    if (lane == 0) similarities[i * K + k] = dot;
  }
}

}  // namespace dnc::cuda
