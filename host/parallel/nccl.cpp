#include "host/parallel/nccl.h"

#include <exception>

#include "host/cuda_library.h"
#include "registry/error.h"

namespace dnc {

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                            int64_t rank, int64_t size,
                                            std::chrono::milliseconds timeout) {
  using Make = c10d::Backend*(c10d::Store*, int, int, int64_t);
  auto* const make = reinterpret_cast<Make*>(function_of_library(
      "dnc_nccl.so", "dnc_make_nccl_backend", "training on several GPUs",
      "Build dnc-host where CMake finds CUDA and NCCL (nvcc, nccl.h), or use device: cpu."));
  try {
    return c10::intrusive_ptr<c10d::Backend>::reclaim(
        make(store.get(), static_cast<int>(rank), static_cast<int>(size), timeout.count()));
  } catch (const c10::Error& error) {
    throw Error(std::string("NCCL cannot be used: ") + error.what_without_backtrace());
  }
}

}  // namespace dnc
