// dnc_nccl.so: the one file that is compiled against NCCL, so that the program itself needs neither
// it nor CUDA.
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

/// The caller takes the reference that it returns.
extern "C" __attribute__((visibility("default"))) c10d::Backend* dnc_make_nccl_backend(
    c10d::Store* store, int rank, int size, int64_t timeout_ms) {
  auto options = c10d::ProcessGroupNCCL::Options::create(/*is_high_priority_stream=*/false);
  options->timeout = std::chrono::milliseconds(timeout_ms);
  c10::intrusive_ptr<c10d::Backend> backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(
      c10::intrusive_ptr<c10d::Store>::reclaim_copy(store), rank, size, options);
  return backend.release();
}
