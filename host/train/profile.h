#pragma once

#include <torch/types.h>

#include <filesystem>

namespace dnc {

/// What this thread and the device do while it lives, as a Chrome trace: the phases of the steps,
/// the operators with the shapes of their inputs, and on a GPU its kernels and copies. LibTorch's
/// own profiler (Kineto) does the work; one at a time.
class Profile {
 public:
  explicit Profile(torch::Device device);
  /// Without save() what was seen is dropped.
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// Ends it and writes the trace, for chrome://tracing and ui.perfetto.dev. Throws Error where the
  /// file cannot be written.
  void save(const std::filesystem::path& file);

 private:
  bool running_ = true;
};

/// While it lives, the phases and operators of this thread are NVTX ranges, which Nsight Systems
/// shows beside the kernels. Throws Error where LibTorch's CUDA half is not in the process: there
/// NVTX comes from.
class NvtxRanges {
 public:
  explicit NvtxRanges(torch::Device device);
  ~NvtxRanges();
  NvtxRanges(const NvtxRanges&) = delete;
  NvtxRanges& operator=(const NvtxRanges&) = delete;
};

}  // namespace dnc
