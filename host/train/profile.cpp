#include "host/train/profile.h"

#include <torch/csrc/autograd/profiler_kineto.h>

#include "registry/error.h"

namespace dnc {
namespace {

namespace profiler = torch::autograd::profiler;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

}  // namespace

Profile::Profile(torch::Device device) {
  const ProfilerConfig config(ProfilerState::KINETO, /*report_input_shapes=*/true);
  std::set<ActivityType> activities{ActivityType::CPU};
  if (device.is_cuda()) activities.insert(ActivityType::CUDA);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
}

Profile::~Profile() {
  if (running_) profiler::disableProfiler();
}

void Profile::save(const std::filesystem::path& file) {
  running_ = false;
  const auto result = profiler::disableProfiler();
  // Kineto says nothing where it cannot write; what an earlier one left would look like a success.
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  result->save(file.string());
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw Error(file.string() + ": the trace cannot be written there");
  }
}

NvtxRanges::NvtxRanges(torch::Device device) {
  if (!device.is_cuda()) {
    throw Error("NVTX ranges come with LibTorch's CUDA half, but the device is " + device.str() +
                "; use device: cuda, or --profile for a trace without Nsight");
  }
  profiler::enableProfiler(ProfilerConfig(ProfilerState::NVTX), {});
}

NvtxRanges::~NvtxRanges() { profiler::disableProfiler(); }

}  // namespace dnc
