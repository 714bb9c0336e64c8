#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

/// A class in a block, from its samples to its sub-centroids and back, as ops/sinkhorn.cpp has it.
/// Threads take turns: for a sample, which needs a sum over K, each has a sample; for a
/// sub-centroid, which needs a sum over the samples, `lanes` of them, a power of 2 from K on, have
/// one each, and the others have further samples.
struct SinkhornClass {
  const float* similarities;
  const int64_t* order;
  Segment segment;
  int64_t K;
  float epsilon;
  int lanes;

  __device__ float logit(int64_t place, int64_t k) const {
    return similarities[order[place] * K + k] / epsilon;
  }
  __device__ int lane() const { return threadIdx.x % lanes; }
  __device__ int number() const { return threadIdx.x / lanes; }
  __device__ int numbers() const { return kThreads / lanes; }

  /// The largest logit of each sub-centroid to `largest` [K], shared.
  __device__ void find_largest(float* largest) const {
    __shared__ float found[kThreads];
    float value = -INFINITY;
    if (lane() < K) {
      for (int64_t i = segment.begin + number(); i < segment.end; i += numbers()) {
        value = fmaxf(value, logit(i, lane()));
      }
    }
    found[threadIdx.x] = value;
    __syncthreads();
    if (threadIdx.x < K) {
      for (int i = 1; i < numbers(); ++i) value = fmaxf(value, found[threadIdx.x + i * lanes]);
      largest[threadIdx.x] = value;
    }
    __syncthreads();
  }

  /// The first sum, relative to its largest term, as its logarithm.
  __device__ void start(float* scale) const {
    find_largest(scale);
    float sum[] = {0};
    if (lane() < K) {
      for (int64_t i = segment.begin + number(); i < segment.end; i += numbers()) {
        sum[0] += expf(logit(i, lane()) - scale[lane()]);
      }
    }
    sum_over<kThreads>(sum, number(), numbers(), lanes);
    if (threadIdx.x < K) scale[threadIdx.x] += logf(sum[0]);
    __syncthreads();
  }

  /// The logarithm of the sum over K of a sample, by which its shares are divided.
  __device__ float total_of(int64_t place, const float* scale) const {
    float largest = -INFINITY;
    for (int64_t k = 0; k < K; ++k) largest = fmaxf(largest, logit(place, k) - scale[k]);
    float sum = 0;
    for (int64_t k = 0; k < K; ++k) sum += expf(logit(place, k) - scale[k] - largest);
    return largest + logf(sum);
  }

  /// One iteration more.
  __device__ void iterate(float* scale) const {
    __shared__ float totals[kThreads];
    float sum[] = {0};
    for (int64_t first = segment.begin; first < segment.end; first += kThreads) {
      const int64_t end = first + kThreads < segment.end ? first + kThreads : segment.end;
      if (first + threadIdx.x < end) totals[threadIdx.x] = total_of(first + threadIdx.x, scale);
      __syncthreads();
      if (lane() < K) {
        for (int64_t i = first + number(); i < end; i += numbers()) {
          sum[0] += expf(logit(i, lane()) - scale[lane()] - totals[i - first]);
        }
      }
      __syncthreads();
    }
    sum_over<kThreads>(sum, number(), numbers(), lanes);
    if (threadIdx.x < K) scale[threadIdx.x] += logf(sum[0]);
    __syncthreads();
  }

  __device__ void write(const float* scale, float* logits) const {
    if (lane() >= K) return;
    for (int64_t i = segment.begin + number(); i < segment.end; i += numbers()) {
      logits[order[i] * K + lane()] = logit(i, lane()) - scale[lane()];
    }
  }
};

__global__ void sinkhorn_of_each(const float* similarities, SortedKeys keys, int64_t K,
                                 int64_t iterations, float epsilon, int lanes, float* logits) {
  const auto segment = segment_of(keys, blockIdx.x);
  if (segment.begin == segment.end) return;  // the whole block
  const SinkhornClass own{similarities, keys.order, segment, K, epsilon, lanes};
  __shared__ float scale[kMostParts];
  own.start(scale);
  for (int64_t i = 1; i < iterations; ++i) own.iterate(scale);
  own.write(scale, logits);
}

}  // namespace dnc::cuda
