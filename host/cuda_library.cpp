#include "host/cuda_library.h"

#include <dlfcn.h>

namespace dnc {

bool open_cuda_library() {
  // Found beside libtorch_cpu.so, by this program's run path; kept to the end of the process.
  static const bool opened = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) != nullptr &&
                             dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr;
  return opened;
}

}  // namespace dnc
