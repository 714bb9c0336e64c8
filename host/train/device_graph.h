#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>

namespace dnc {

/// Work of a device that is recorded once and then done again as a whole: a CUDA graph. Recorded
/// work reads and writes the same memory each time, and calls that the host makes in between, with
/// numbers of the host in them, are not made again.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Does `work` as it will be recorded, so that kernels are chosen and libraries have their memory
  /// before.
  virtual void warm_up(const std::function<void()>& work) = 0;
  /// Calls `work`; the device does nothing of it, but keeps it. Tensors that it makes stay alive,
  /// and replay() fills them. Throws what `work` throws, and c10::Error for what cannot be
  /// recorded, such as a wait of the host.
  virtual void record(const std::function<void()>& work) = 0;
  /// Tells the device to do what was recorded, behind the work that it has.
  virtual void replay() = 0;
};

/// On a GPU, out of lib/dnc-host/dnc_cuda_graph.so, which is opened here: the program itself does
/// not link LibTorch's CUDA half, which must be in the process. Throws Error where that library is
/// not there.
std::unique_ptr<DeviceGraph> make_cuda_graph(torch::Device device);

/// From now on a wait of the host for a GPU is an error of LibTorch, or not; for tests. Throws like
/// make_cuda_graph().
void refuse_to_wait_for_gpu(bool refuse);

}  // namespace dnc
