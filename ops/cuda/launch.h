#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "ops/cuda/device.cuh"

namespace dnc::cuda {

inline int64_t parts(int64_t size, int64_t step) { return (size + step - 1) / step; }

/// Blocks for `threads` threads, of which each may have more than one thing to do: as many as a
/// large GPU runs at once, a few times over.
inline unsigned blocks_for(int64_t threads) {
  return static_cast<unsigned>(std::clamp<int64_t>(parts(threads, kThreads), 1, 1 << 14));
}

/// Calls body(T()) with the type that `type` names.
template <typename Body>
void with_type(Type type, const Body& body) {
  if (type == Type::kFloat) {
    body(float());
  } else if (type == Type::kHalf) {
    body(__half());
  } else {
    body(__nv_bfloat16());
  }
}

}  // namespace dnc::cuda
