#include "host/cuda_library.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "host/plugin_loader.h"
#include "registry/error.h"

namespace dnc {
namespace {

// Kept to the end of the process.
struct Opened {
  void* driver = nullptr;
  std::string error;  // of LibTorch's CUDA half
};

// The operators' own kernels. A build without nvcc has none, and LibTorch's operators take their
// place.
void open_kernels() {
  const auto file = builtin_plugin_folder().parent_path() / "dnc_ops_cuda.so";
  if (!std::filesystem::exists(file) || dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return;
  const auto* const reason = dlerror();
  throw Error(file.string() + ": the kernels for a GPU cannot be opened: " + reason +
              ". Build dnc-host anew, or remove the file to do without them.");
}

const Opened& opened() {
  static const Opened once = [] {
    Opened result;
    result.driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    // Found beside libtorch_cpu.so, by this program's run path.
    if (result.driver && !dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) {
      result.error = dlerror();
    }
    if (result.driver && result.error.empty()) open_kernels();
    return result;
  }();
  return once;
}

// The version that a function of CUDA reports; 0 where it is not there.
int version_from(void* library, const char* function) {
  using Version = int(int*);
  auto* const ask = reinterpret_cast<Version*>(dlsym(library, function));
  int version = 0;
  return ask && ask(&version) == 0 ? version : 0;
}

std::string as_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

bool open_cuda_library() { return opened().driver && opened().error.empty(); }

CudaFacts cuda_facts() {
  CudaFacts facts;
  facts.has_driver = opened().driver != nullptr;
  facts.library_error = opened().error;
  if (!open_cuda_library()) return facts;
  facts.driver_version = version_from(opened().driver, "cuDriverGetVersion");
  facts.library_version = version_from(RTLD_DEFAULT, "cudaRuntimeGetVersion");
  facts.devices = at::detail::getCUDAHooks().getNumGPUs();
  const auto* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
  facts.visible = visible ? visible : "not set";
  return facts;
}

std::string gpu_problem(const CudaFacts& facts) {
  if (!facts.has_driver) return "there is no NVIDIA driver (libcuda.so.1 is not found)";
  if (!facts.library_error.empty()) {
    return "LibTorch's CUDA half cannot be opened: " + facts.library_error;
  }
  // Within a major version of CUDA, older drivers serve newer libraries.
  const int driver = facts.driver_version, library = facts.library_version;
  if (driver > 0 && driver / 1000 < library / 1000) {
    return "the NVIDIA driver is too old: it serves CUDA " + as_text(driver) +
           ", and LibTorch was built for CUDA " + as_text(library) + "; install a newer driver";
  }
  if (facts.devices > 0) return "";
  return "the NVIDIA driver shows none (CUDA_VISIBLE_DEVICES: " + facts.visible + ")";
}

void* function_of_library(const std::string& name, const char* function, const std::string& purpose,
                          const std::string& advice) {
  const auto file = (builtin_plugin_folder().parent_path() / name).string();
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const auto* const reason = dlerror();
    throw Error(file + ": " + purpose + " needs it, but it cannot be opened: " + reason + ". " +
                advice);
  }
  if (void* found = dlsym(library, function)) return found;
  throw Error(file + ": has no " + function + "; build it anew");
}

}  // namespace dnc
