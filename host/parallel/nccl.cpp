#include "host/parallel/nccl.h"

#include <dlfcn.h>

#include <exception>

#include "host/plugin_loader.h"
#include "registry/error.h"

namespace dnc {

c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store,
                                            int64_t rank, int64_t size,
                                            std::chrono::milliseconds timeout) {
  const auto file = (builtin_plugin_folder().parent_path() / "dnc_nccl.so").string();
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);  // kept to the end of the process
  if (!library) {
    const auto* const reason = dlerror();
    throw Error(file + ": training on several GPUs needs it, but it cannot be opened: " + reason +
                ". Build dnc-host where CMake finds CUDA and NCCL (nvcc, nccl.h), or use device: "
                "cpu.");
  }
  using Make = c10d::Backend*(c10d::Store*, int, int, int64_t);
  auto* const make = reinterpret_cast<Make*>(dlsym(library, "dnc_make_nccl_backend"));
  if (!make) throw Error(file + ": has no dnc_make_nccl_backend; build it anew");
  try {
    return c10::intrusive_ptr<c10d::Backend>::reclaim(
        make(store.get(), static_cast<int>(rank), static_cast<int>(size), timeout.count()));
  } catch (const c10::Error& error) {
    throw Error(std::string("NCCL cannot be used: ") + error.what_without_backtrace());
  }
}

}  // namespace dnc
