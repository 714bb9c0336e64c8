#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

/// How a block of kThreads goes over rows of D numbers: `rows` of them at once, each by `parts`
/// threads. Neighbours in a warp take what lies side by side in memory: pixels of a map, or the
/// numbers of a row.
struct Split {
  int rows, parts;
  int row, part;  // of this thread
  int step;       // from a thread to the next part of its row

  __device__ explicit Split(bool map)
      : rows(map ? kWarp : kThreads / kWarp),
        parts(map ? kThreads / kWarp : kWarp),
        row(map ? threadIdx.x % kWarp : threadIdx.x / kWarp),
        part(map ? threadIdx.x / kWarp : threadIdx.x % kWarp),
        step(map ? kWarp : 1) {}

  /// The sum over the threads of a row. All threads of the block must call it.
  __device__ float sum(float value) const {
    if (step == 1) return sum_of_warp(value);
    float values[] = {value};
    sum_over<kThreads>(values, part, parts, step);
    return values[0];
  }
};

__device__ inline bool is_map(const RowLayout& layout) { return layout.stride != 1; }

template <typename T>
__device__ const T* row_of(const T* x, const RowLayout& layout, int64_t row) {
  return x + row / layout.per_image * layout.image_stride +
         row % layout.per_image * layout.row_stride;
}

/// |x|^2 of the row of this thread.
template <typename T>
__device__ float square_length(const T* x, const RowLayout& layout, bool there, int64_t D,
                               const Split& split) {
  float squares = 0;
  for (int64_t d = split.part; there && d < D; d += split.parts) {
    const auto value = static_cast<float>(x[d * layout.stride]);
    squares += value * value;
  }
  return split.sum(squares);
}

template <typename T>
__global__ void scale_each_row(const T* x, RowLayout layout, int64_t rows, int64_t D, float factor,
                               T* scale) {
  const Split split(is_map(layout));
  const int64_t row = blockIdx.x * static_cast<int64_t>(split.rows) + split.row;
  const bool there = row < rows;
  const float squares = square_length(there ? row_of(x, layout, row) : x, layout, there, D, split);
  if (there && split.part == 0) {
    scale[row] = static_cast<T>(squares == 0 ? 0 : factor / sqrtf(squares));
  }
}

// d (p'x / |x|) / dx = (p - x (p'x) / |x|^2) / |x|, with scale = factor / |x|.
template <typename T>
__global__ void unscale_each_gradient(const T* x, RowLayout layout, const T* scale, int64_t rows,
                                      int64_t D, float factor, T* gradient) {
  const Split split(is_map(layout));
  const int64_t row = blockIdx.x * static_cast<int64_t>(split.rows) + split.row;
  const bool there = row < rows;
  const T* const from = there ? row_of(x, layout, row) : x;
  T* const to = gradient + (there ? row * D : 0);
  float along = 0;
  for (int64_t d = split.part; there && d < D; d += split.parts) {
    along += static_cast<float>(to[d]) * static_cast<float>(from[d * layout.stride]);
  }
  along = split.sum(along);
  if (!there) return;
  const auto by = static_cast<float>(scale[row]);
  const float back = along * (by / factor) * (by / factor);
  for (int64_t d = split.part; d < D; d += split.parts) {
    const float value =
        static_cast<float>(to[d]) - back * static_cast<float>(from[d * layout.stride]);
    to[d] = static_cast<T>(value * by);
  }
}

__global__ void unit_each_row(const float* x, RowLayout layout, const int64_t* labels, int64_t rows,
                              int64_t D, float* points, float* scale) {
  const Split split(is_map(layout));
  const int64_t row = blockIdx.x * static_cast<int64_t>(split.rows) + split.row;
  const bool there = row < rows;
  const float* const from = there ? row_of(x, layout, row) : x;
  const float squares = square_length(from, layout, there, D, split);
  if (!there) return;
  const float by = labels[row] >= 0 && squares > 0 ? 1 / sqrtf(squares) : 0;
  if (split.part == 0) scale[row] = by;
  for (int64_t d = split.part; d < D; d += split.parts) {
    points[row * D + d] = by == 0 ? 0 : from[d * layout.stride] * by;  // not NaN times 0
  }
}

}  // namespace dnc::cuda
