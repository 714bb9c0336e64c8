#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

/// How the blocks of a grid go over a channels-last matrix [rows, C]: threads side by side in
/// memory have packs of kVector channels, `lanes` packs in all, and a thread keeps its channels
/// from row to row, so that what belongs to them is read once. gridDim.x blocks are side by side
/// over C and gridDim.y over the rows.
template <int kVector>
struct Walk {
  int64_t channel;  // the first of this thread
  int64_t first;    // row of this thread, and
  int64_t step;     // from row to row
  int number;       // of this thread among those with the same channels in the block
  int numbers;

  __device__ explicit Walk(int lanes)
      : channel((blockIdx.x * static_cast<int64_t>(lanes) + threadIdx.x % lanes) * kVector),
        number(threadIdx.x / lanes),
        numbers(kThreads / lanes) {
    first = blockIdx.y * static_cast<int64_t>(numbers) + number;
    step = gridDim.y * static_cast<int64_t>(numbers);
  }
};

/// Two sums of each channel over the rows of a block, to partial [gridDim.y, 2, C].
template <int kVector>
__device__ void write_partial(const Walk<kVector>& walk, float (&sums)[2 * kVector], int lanes,
                              int64_t C, float* partial) {
  sum_over<kThreads>(sums, walk.number, walk.numbers, lanes);
  if (walk.number != 0 || walk.channel >= C) return;
  float* const to = partial + blockIdx.y * 2 * C + walk.channel;
  for (int j = 0; j < kVector; ++j) {
    to[j] = sums[j];
    to[C + j] = sums[kVector + j];
  }
}

/// Sums of x and of its squares, both relative to the first row: where the mean is far from 0, the
/// difference of the sums of squares would be nothing but rounding.
template <typename T, int kVector>
__global__ void sum_batch(const T* x, int64_t rows, int64_t C, int lanes, float* partial) {
  const Walk<kVector> walk(lanes);
  float sums[2 * kVector] = {};
  if (walk.channel < C) {
    const auto shift = load<kVector>(x + walk.channel);
#pragma unroll 4
    for (int64_t row = walk.first; row < rows; row += walk.step) {
      const auto values = load<kVector>(x + row * C + walk.channel);
      for (int j = 0; j < kVector; ++j) {
        const float value =
            static_cast<float>(values.values[j]) - static_cast<float>(shift.values[j]);
        sums[j] += value;
        sums[kVector + j] += value * value;
      }
    }
  }
  write_partial(walk, sums, lanes, C, partial);
}

/// Sums of what the blocks found of a channel, by kWarp threads a warp apart: `sums` is right in
/// all of them. A block has kWarp channels.
__device__ inline void sum_partial(const float* partial, int64_t chunks, int64_t C, int64_t channel,
                                   float (&sums)[2]) {
  const int number = threadIdx.x / kWarp;
  sums[0] = sums[1] = 0;
  if (channel < C) {
#pragma unroll 4
    for (int64_t i = number; i < chunks; i += kThreads / kWarp) {
      sums[0] += partial[2 * i * C + channel];
      sums[1] += partial[(2 * i + 1) * C + channel];
    }
  }
  sum_over<kThreads>(sums, number, kThreads / kWarp, kWarp);
}

template <typename T>
__global__ void finish_statistics(const T* x, const float* partial, int64_t chunks, int64_t rows,
                                  int64_t C, float momentum, float eps, float* mean, float* rstd,
                                  float* running_mean, float* running_var) {
  const int64_t channel = blockIdx.x * static_cast<int64_t>(kWarp) + threadIdx.x % kWarp;
  float sums[2];
  sum_partial(partial, chunks, C, channel, sums);
  if (threadIdx.x >= kWarp || channel >= C) return;
  const auto n = static_cast<float>(rows);
  const float offset = sums[0] / n, own_mean = static_cast<float>(x[channel]) + offset;
  const float squares = sums[1] - sums[0] * offset;  // of the distances to the mean
  const float variance = squares < 0 ? 0 : squares / n;
  mean[channel] = own_mean;
  rstd[channel] = 1 / sqrtf(variance + eps);
  running_mean[channel] += momentum * (own_mean - running_mean[channel]);
  running_var[channel] += momentum * (variance * (n / (n - 1)) - running_var[channel]);
}

template <typename T, int kVector>
__global__ void normalize_each(const T* x, const T* residual, const float* weight,
                               const float* bias, const float* mean, const float* rstd,
                               int64_t rows, int64_t C, int lanes, T* y) {
  const Walk<kVector> walk(lanes);
  if (walk.channel >= C) return;
  float shift[kVector], factor[kVector], offset[kVector];
  for (int j = 0; j < kVector; ++j) {
    shift[j] = mean[walk.channel + j];
    factor[j] = rstd[walk.channel + j] * weight[walk.channel + j];
    offset[j] = bias[walk.channel + j];
  }
#pragma unroll 4
  for (int64_t row = walk.first; row < rows; row += walk.step) {
    const int64_t at = row * C + walk.channel;
    auto values = load<kVector>(x + at);
    Pack<T, kVector> added{};
    if (residual) added = load<kVector>(residual + at);
    for (int j = 0; j < kVector; ++j) {
      float value = (static_cast<float>(values.values[j]) - shift[j]) * factor[j] + offset[j];
      if (residual) value += static_cast<float>(added.values[j]);
      values.values[j] = static_cast<T>(value < 0 ? 0 : value);  // NaN stays
    }
    store(values, y + at);
  }
}

/// Sums of the gradient of what relu was given, z, and of its product with x - mean.
template <typename T, int kVector>
__global__ void sum_gradients(const T* gradient, const T* x, const T* y, const float* mean,
                              int64_t rows, int64_t C, int lanes, float* partial) {
  const Walk<kVector> walk(lanes);
  float sums[2 * kVector] = {};
  if (walk.channel < C) {
    float shift[kVector];
    for (int j = 0; j < kVector; ++j) shift[j] = mean[walk.channel + j];
#pragma unroll 2
    for (int64_t row = walk.first; row < rows; row += walk.step) {
      const int64_t at = row * C + walk.channel;
      const auto slopes = load<kVector>(gradient + at), values = load<kVector>(x + at),
                 results = load<kVector>(y + at);
      for (int j = 0; j < kVector; ++j) {
        if (static_cast<float>(results.values[j]) <= 0) continue;
        const auto slope = static_cast<float>(slopes.values[j]);
        sums[j] += slope;
        sums[kVector + j] += slope * (static_cast<float>(values.values[j]) - shift[j]);
      }
    }
  }
  write_partial(walk, sums, lanes, C, partial);
}

__global__ void finish_gradients(const float* partial, int64_t chunks, int64_t C, const float* rstd,
                                 float* weight_gradient, float* bias_gradient) {
  const int64_t channel = blockIdx.x * static_cast<int64_t>(kWarp) + threadIdx.x % kWarp;
  float sums[2];
  sum_partial(partial, chunks, C, channel, sums);
  if (threadIdx.x >= kWarp || channel >= C) return;
  bias_gradient[channel] = sums[0];
  weight_gradient[channel] = sums[1] * rstd[channel];
}

// With u = (x - mean) rstd and dz, the gradient of z = u weight + bias + residual:
//   dx = weight rstd (dz - mean of dz - u mean of (u dz)),
// where the means are over the batch, and 0 where the statistics are not those of the batch.
template <typename T, int kVector>
__global__ void gradient_of_each(const T* gradient, const T* x, const T* y, const float* weight,
                                 const float* mean, const float* rstd, const float* weight_gradient,
                                 const float* bias_gradient, bool training, int64_t rows, int64_t C,
                                 int lanes, T* x_gradient, T* residual_gradient) {
  const Walk<kVector> walk(lanes);
  if (walk.channel >= C) return;
  const auto n = static_cast<float>(rows);
  float shift[kVector], factor[kVector], along[kVector], even[kVector];
  for (int j = 0; j < kVector; ++j) {
    const int64_t c = walk.channel + j;
    shift[j] = mean[c];
    factor[j] = rstd[c] * weight[c];
    along[j] = training ? rstd[c] * weight_gradient[c] / n : 0;
    even[j] = training ? bias_gradient[c] / n : 0;
  }
#pragma unroll 2
  for (int64_t row = walk.first; row < rows; row += walk.step) {
    const int64_t at = row * C + walk.channel;
    auto slopes = load<kVector>(gradient + at), values = load<kVector>(x + at);
    const auto results = load<kVector>(y + at);
    for (int j = 0; j < kVector; ++j) {
      const bool off = static_cast<float>(results.values[j]) <= 0;
      const float slope = off ? 0 : static_cast<float>(slopes.values[j]);
      const float distance = static_cast<float>(values.values[j]) - shift[j];
      values.values[j] = static_cast<T>(factor[j] * (slope - even[j] - distance * along[j]));
      slopes.values[j] = static_cast<T>(slope);
    }
    store(values, x_gradient + at);
    if (residual_gradient) store(slopes, residual_gradient + at);
  }
}

}  // namespace dnc::cuda
