#pragma once

#include <cstdint>

#include "ops/cuda/kernels.h"

/// What the kernels share. They are in headers, for .cu files to launch and for a test to run on a
/// CPU (tests/ops/emulated_grid.h).
namespace dnc::cuda {

/// Threads of a block, where nothing else is said.
inline constexpr int kThreads = 256;
inline constexpr int kWarp = 32;

/// Numbers that are read and written at once.
template <typename T, int kSize>
struct alignas(sizeof(T) * kSize) Pack {
  T values[kSize];
};

template <int kSize, typename T>
__device__ Pack<T, kSize> load(const T* from) {
  return *reinterpret_cast<const Pack<T, kSize>*>(from);
}

template <int kSize, typename T>
__device__ void store(const Pack<T, kSize>& pack, T* to) {
  *reinterpret_cast<Pack<T, kSize>*>(to) = pack;
}

#ifdef __CUDACC__
/// Shared memory, as much as the launch says.
template <typename T>
__device__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}
#endif

__device__ inline int64_t number_in_grid() {
  return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
}

__device__ inline int64_t threads_in_grid() { return gridDim.x * static_cast<int64_t>(blockDim.x); }

/// Sums of each of kValues over `count` threads, a power of 2, that are `step` apart in a block of
/// kBlock; `number` is the own place among them. All threads of the block must call it, and all get
/// the sums, the same bits in each.
template <int kBlock, int kValues>
__device__ void sum_over(float (&values)[kValues], int number, int count, int step) {
  __shared__ float sums[kValues][kBlock];
  const int thread = threadIdx.x;
  for (int i = 0; i < kValues; ++i) sums[i][thread] = values[i];
  for (int half = count / 2; half > 0; half /= 2) {
    __syncthreads();
    if (number < half) {
      for (int i = 0; i < kValues; ++i) sums[i][thread] += sums[i][thread + half * step];
    }
  }
  __syncthreads();
  for (int i = 0; i < kValues; ++i) values[i] = sums[i][thread - number * step];
  __syncthreads();  // before the next call writes
}

/// The same of one value over a warp.
__device__ inline float sum_of_warp(float value) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

/// The first place in sorted [size] that is not below `key`.
__device__ inline int64_t lower_bound(const int64_t* sorted, int64_t size, int64_t key) {
  int64_t begin = 0;
  while (size > 0) {
    const int64_t half = size / 2;
    if (sorted[begin + half] < key) {
      begin += half + 1;
      size -= half + 1;
    } else {
      size = half;
    }
  }
  return begin;
}

/// The rows of one key, at places [begin, end) of the order; begin = end where there is none.
struct Segment {
  int64_t key;
  int64_t begin;
  int64_t end;
};

/// The segment of a block. Where there are fewer keys than rows, block number k has key k; else
/// each place has a block, and that of a segment's first place has the segment.
__device__ inline Segment segment_of(const SortedKeys& keys, int64_t block) {
  if (keys.size <= keys.rows) {
    return {block, lower_bound(keys.sorted, keys.rows, block),
            lower_bound(keys.sorted, keys.rows, block + 1)};
  }
  const int64_t key = keys.sorted[block];
  const bool first = block == 0 || keys.sorted[block - 1] != key;
  if (!first || key < 0 || key >= keys.size) return {key, block, block};
  return {key, block, block + lower_bound(keys.sorted + block, keys.rows - block, key + 1)};
}

}  // namespace dnc::cuda
