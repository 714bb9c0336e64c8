#pragma once

#include <cstdint>
#include <string>

namespace dnc {

/// Brings LibTorch's CUDA half and the operators' own kernels into the process, where there is an
/// NVIDIA driver; false where there is none, or where that half or a library that it needs is not
/// installed. The program does not link it: it costs half a second and 350 MB at every start.
bool open_cuda_library();

/// What decides whether a GPU can be used here. Versions are CUDA's: 13000 is 13.0.
struct CudaFacts {
  bool has_driver = false;    // libcuda.so.1
  std::string library_error;  // why LibTorch's CUDA half could not be opened; empty if it was
  int driver_version = 0;     // what the driver serves; 0 for not known
  int library_version = 0;    // what LibTorch was built for; 0 for not known
  int64_t devices = 0;        // that LibTorch sees
  std::string visible;        // CUDA_VISIBLE_DEVICES
};

/// Of this machine; opens the CUDA half.
CudaFacts cuda_facts();

/// Why no GPU can be used, for a message; empty where one can.
std::string gpu_problem(const CudaFacts& facts);

/// A function out of a library beside the program's plugins (lib/dnc-host/NAME), which is opened
/// when it is wanted and kept to the end of the process. Throws Error where it cannot be opened:
/// "FILE: `purpose` needs it, but it cannot be opened: REASON. `advice`".
void* function_of_library(const std::string& name, const char* function, const std::string& purpose,
                          const std::string& advice);

}  // namespace dnc
