#include "host/train/device_graph.h"

#include "host/cuda_library.h"

namespace dnc {
namespace {

template <typename Function>
Function* function_of_cuda_graph(const char* name) {
  return reinterpret_cast<Function*>(function_of_library(
      "dnc_cuda_graph.so", name, "train.cuda_graph",
      "Build dnc-host where CMake finds CUDA's headers, or set train.cuda_graph: off."));
}

}  // namespace

std::unique_ptr<DeviceGraph> make_cuda_graph(torch::Device device) {
  auto* const make = function_of_cuda_graph<DeviceGraph*(int)>("dnc_make_cuda_graph");
  return std::unique_ptr<DeviceGraph>(make(device.index()));
}

void refuse_to_wait_for_gpu(bool refuse) {
  function_of_cuda_graph<void(bool)>("dnc_refuse_to_wait_for_gpu")(refuse);
}

}  // namespace dnc
