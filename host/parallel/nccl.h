#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace dnc {

/// Collectives for tensors of a GPU, out of dnc_nccl.so, which is opened here and beside which
/// LibTorch's CUDA half must be in the process. Throws Error where that library is not there (it is
/// built where CMake finds a CUDA toolkit and NCCL's header) or NCCL refuses.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                            int64_t rank, int64_t size,
                                            std::chrono::milliseconds timeout);

}  // namespace dnc
