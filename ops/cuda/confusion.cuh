#pragma once

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

using Count = unsigned long long;  // what atomicAdd() takes in place of int64_t

/// Where a pair counts in [classes, classes], or -1.
__device__ inline int64_t place_of_pair(int64_t prediction, int64_t label, int64_t classes) {
  const auto known = [classes](int64_t x) {
    return static_cast<uint64_t>(x) < static_cast<uint64_t>(classes);
  };
  return known(prediction) && known(label) ? label * classes + prediction : -1;
}

/// Each block counts in a table of its own, `table` [classes, classes] of shared memory, and adds
/// it at the end: most pairs are correct, so all threads would wait for the same few numbers.
__global__ void count_in_blocks(const int64_t* predictions, const int64_t* labels, int64_t size,
                                int64_t classes, Count* counts) {
  auto* const table = shared_memory<unsigned>();
  const int64_t entries = classes * classes;
  for (int64_t i = threadIdx.x; i < entries; i += blockDim.x) table[i] = 0;
  __syncthreads();
  for (int64_t i = number_in_grid(); i < size; i += threads_in_grid()) {
    const int64_t place = place_of_pair(predictions[i], labels[i], classes);
    if (place >= 0) atomicAdd(table + place, 1u);
  }
  __syncthreads();
  for (int64_t i = threadIdx.x; i < entries; i += blockDim.x) {
    if (table[i] > 0) atomicAdd(counts + i, static_cast<Count>(table[i]));
  }
}

/// For more classes than a table holds.
__global__ void count_at_once(const int64_t* predictions, const int64_t* labels, int64_t size,
                              int64_t classes, Count* counts) {
  for (int64_t i = number_in_grid(); i < size; i += threads_in_grid()) {
    const int64_t place = place_of_pair(predictions[i], labels[i], classes);
    if (place >= 0) atomicAdd(counts + place, Count{1});
  }
}

}  // namespace dnc::cuda
