#pragma once

#include <c10/util/FunctionRef.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "ops/cpu/kernels.h"

/// How the operators go through what is too large to be held at once.
namespace dnc {

/// Elements of the largest temporary: on a CPU what its caches hold, on a GPU what keeps it busy.
inline int64_t block_size(const torch::Tensor& x) {
  return x.is_cpu() ? int64_t{1} << 20 : int64_t{1} << 25;
}

/// Where part `i` begins and how long it is, where `size` is cut into parts of `step`.
inline std::pair<int64_t, int64_t> part(int64_t i, int64_t step, int64_t size) {
  return {i * step, std::min(step, size - i * step)};
}

inline int64_t parts(int64_t size, int64_t step) { return (size + step - 1) / step; }

/// Whether kernels.h can work on it.
inline bool has_kernels(const torch::Tensor& x) {
  return kernels::kAvailable && x.is_cpu() && x.scalar_type() == torch::kFloat;
}

/// Calls body(i) for i in [0, count), each about `cost` multiplications, on LibTorch's own threads:
/// at::parallel_for, as a header, would have to be compiled with OpenMP.
void parallel(int64_t count, int64_t cost, c10::function_ref<void(int64_t)> body);

}  // namespace dnc
