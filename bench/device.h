#pragma once

#include <c10/core/Allocator.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>

#include "host/cuda_library.h"

namespace dnc {

/// Where a benchmark runs: what the environment variable DNC_BENCH_DEVICE says, or the CPU. Ends
/// the program where there is no GPU.
inline torch::Device bench_device() {
  const char* const name = std::getenv("DNC_BENCH_DEVICE");
  const torch::Device device(name ? name : "cpu");
  if (device.is_cuda()) {
    const auto problem = gpu_problem(cuda_facts());
    if (!problem.empty()) {
      std::cerr << "DNC_BENCH_DEVICE=" << name << ": no GPU: " << problem << '\n';
      std::exit(1);
    }
  }
  return device;
}

/// Steps of an iteration, after which it waits for the device. On a GPU the host is ahead, as it is
/// in training. peer.py has the same numbers, and divides by them.
inline int64_t steps_of_iteration(torch::Device device) { return device.is_cuda() ? 20 : 1; }

/// A number from the environment.
inline int64_t number_of_environment(const char* name, int64_t otherwise) {
  const char* const value = std::getenv(name);
  return value ? std::atoll(value) : otherwise;
}

/// Bytes of tensors that this thread holds on a device, and the most it held.
class Memory : public c10::MemoryReportingInfoBase {
 public:
  explicit Memory(torch::Device device) : type_(device.type()) {}
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device device) override {
    if (device.type() != type_) return;
    now += size;
    peak = std::max(peak, now);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t now = 0;
  int64_t peak = 0;

 private:
  c10::DeviceType type_;
};

}  // namespace dnc
