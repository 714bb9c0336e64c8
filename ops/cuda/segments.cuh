#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

/// Threads of a block here: a warp is side by side over D, and kRowsAtOnce of them over the rows.
inline constexpr int kRowsAtOnce = 16;
inline constexpr int kSegmentThreads = kWarp * kRowsAtOnce;

/// Sums of kVector numbers from column d on over the rows of a segment, in every thread of that
/// column.
template <int kVector, typename T>
__device__ void sum_segment(const T* values, const SortedKeys& keys, const Segment& segment,
                            int64_t D, int64_t d, float (&sums)[kVector]) {
  const int number = threadIdx.x / kWarp;
  for (int j = 0; j < kVector; ++j) sums[j] = 0;
  if (d < D) {
#pragma unroll 4
    for (int64_t i = segment.begin + number; i < segment.end; i += kRowsAtOnce) {
      const auto row = load<kVector>(values + keys.order[i] * D + d);
      for (int j = 0; j < kVector; ++j) sums[j] += static_cast<float>(row.values[j]);
    }
  }
  sum_over<kSegmentThreads>(sums, number, kRowsAtOnce, kWarp);
}

template <int kVector, typename T>
__global__ void mean_of_each_segment(const T* values, SortedKeys keys, int64_t D, T* means,
                                     T* counts) {
  const auto segment = segment_of(keys, blockIdx.x);
  if (segment.begin == segment.end) return;  // the whole block
  const auto count = static_cast<float>(segment.end - segment.begin);
  for (int64_t first = 0; first < D; first += kWarp * kVector) {
    const int64_t d = first + threadIdx.x % kWarp * kVector;
    float sums[kVector];
    sum_segment<kVector>(values, keys, segment, D, d, sums);
    if (threadIdx.x >= kWarp || d >= D) continue;
    Pack<T, kVector> mean;
    for (int j = 0; j < kVector; ++j) mean.values[j] = static_cast<T>(sums[j] / count);
    store(mean, means + segment.key * D + d);
  }
  if (threadIdx.x == 0) counts[segment.key] = static_cast<T>(count);
}

/// A block has a row of the table. It is written only when its length is known; until then it is in
/// `moved`, a row of D for each block.
template <int kVector>
__global__ void move_each_row(const float* points, SortedKeys keys, int64_t D, float momentum,
                              float* moved, float* table) {
  const auto segment = segment_of(keys, blockIdx.x);
  if (segment.begin == segment.end) return;  // the whole block
  const auto count = static_cast<float>(segment.end - segment.begin);
  float* const row = table + segment.key * D;
  float* const to = moved + blockIdx.x * D;
  float squares[] = {0};
  for (int64_t first = 0; first < D; first += kWarp * kVector) {
    const int64_t d = first + threadIdx.x % kWarp * kVector;
    float sums[kVector];
    sum_segment<kVector>(points, keys, segment, D, d, sums);
    if (threadIdx.x >= kWarp || d >= D) continue;
    for (int j = 0; j < kVector; ++j) {
      const float value = momentum * row[d + j] + (1 - momentum) * (sums[j] / count);
      squares[0] += value * value;
      to[d + j] = value;
    }
  }
  // Those of the first warp; it also makes `to` visible to the whole block.
  sum_over<kSegmentThreads>(squares, threadIdx.x, kSegmentThreads, 1);
  if (squares[0] == 0) return;  // opposites can cancel out
  const float length = sqrtf(squares[0]);
  for (int64_t d = threadIdx.x; d < D; d += kSegmentThreads) row[d] = to[d] / length;
}

}  // namespace dnc::cuda
