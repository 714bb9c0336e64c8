// dnc_cuda_graph.so: the one file of the host that is compiled against CUDA's headers, so that the
// program itself needs neither them nor LibTorch's CUDA half.
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include "host/train/device_graph.h"

namespace {

class CudaGraph final : public dnc::DeviceGraph {
 public:
  explicit CudaGraph(c10::DeviceIndex device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)) {}

  void warm_up(const std::function<void()>& work) override { on_own_stream(work); }

  void record(const std::function<void()>& work) override {
    // What is still to be done, and memory that is kept for nobody, are out of the way.
    c10::cuda::device_synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    on_own_stream([&] {
      // Threads that load data may go on with calls that a recording thread must not make.
      graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      try {
        work();
      } catch (...) {
        end_quietly();
        throw;
      }
      graph_.capture_end();
    });
  }

  void replay() override { graph_.replay(); }

 private:
  // Between what the current stream has and what it gets.
  void on_own_stream(const std::function<void()>& work) {
    const auto current = c10::cuda::getCurrentCUDAStream(stream_.device_index());
    at::cuda::CUDAEvent before, after;
    before.record(current);
    before.block(stream_);
    {
      const c10::cuda::CUDAStreamGuard guard(stream_);
      work();
    }
    after.record(stream_);
    after.block(current);
  }

  void end_quietly() {
    try {
      graph_.capture_end();
    } catch (const c10::Error&) {
      // The error that ended the recording tells more than what follows from it.
    }
  }

  c10::cuda::CUDAStream stream_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

/// The caller owns what it returns.
extern "C" __attribute__((visibility("default"))) dnc::DeviceGraph* dnc_make_cuda_graph(
    int device) {
  return new CudaGraph(static_cast<c10::DeviceIndex>(device));
}

extern "C" __attribute__((visibility("default"))) void dnc_refuse_to_wait_for_gpu(bool refuse) {
  c10::cuda::warning_state().set_sync_debug_mode(refuse ? c10::cuda::SyncDebugMode::L_ERROR
                                                        : c10::cuda::SyncDebugMode::L_DISABLED);
}
