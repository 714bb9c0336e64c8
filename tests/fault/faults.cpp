// The wrappers below are the C library's functions; its checking variants would get in the way.
#undef _FORTIFY_SOURCE

#include "faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <set>
#include <stdexcept>

namespace dnc {
namespace {

struct State {
  Fault fault = Fault::kNone;
  int64_t at = 0;
  bool disk_full = false;
  bool no_exchange = false;
  std::vector<SystemCall> calls;
};
State* state = nullptr;  // none while there is no Faults

/// The function that ours hides.
template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::string path_of(int fd) {
  std::array<char, 4096> path{};
  const auto link = "/proc/self/fd/" + std::to_string(fd);
  const auto size = ::readlink(link.c_str(), path.data(), path.size());
  return {path.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
}

bool needs_room(const std::string& name) {
  static const std::set<std::string> kNames = {"open",  "write",   "pwrite",
                                               "mkdir", "symlink", "fsync"};
  return kNames.contains(name);
}

bool can_be_interrupted(const std::string& name) {
  static const std::set<std::string> kNames = {"open", "write", "pwrite", "fsync"};
  return kNames.contains(name);
}

/// Records a call and lets its fault happen. `run` makes the call; with true only the first half of
/// it, where it has one.
template <typename Run>
auto call(SystemCall made, const Run& run) -> decltype(run(false)) {
  if (!state) return run(false);
  const auto fault = state->fault;
  state->calls.push_back(made);
  const bool now = static_cast<int64_t>(state->calls.size()) == state->at;
  if (now && fault == Fault::kKill) ::_exit(kKilled);
  if (now && fault == Fault::kTear) {
    run(true);
    ::_exit(kKilled);
  }
  if (now && fault == Fault::kInputOutput) {
    errno = EIO;
    return -1;
  }
  if (now && fault == Fault::kInterrupt && can_be_interrupted(made.name)) {
    errno = EINTR;
    return -1;
  }
  if (fault == Fault::kDiskFull && needs_room(made.name) && (now || state->disk_full)) {
    if (std::exchange(state->disk_full, true) || made.name != "write") {
      errno = ENOSPC;
      return -1;
    }
    return run(true);  // the last bytes that there is room for
  }
  return run(fault == Fault::kShortWrites);
}

bool changes_files(int flags) { return (flags & (O_CREAT | O_TRUNC)) != 0; }

}  // namespace

Faults::Faults(Fault fault, int64_t at) {
  if (state) throw std::logic_error("one Faults at a time");
  state = new State{.fault = fault, .at = at, .calls = {}};
}

Faults::~Faults() { delete std::exchange(state, nullptr); }

void Faults::forbid_exchange() { state->no_exchange = true; }

const std::vector<SystemCall>& Faults::calls() const { return state->calls; }

}  // namespace dnc

using dnc::call;
using dnc::path_of;
using dnc::real;

// Default visibility: the standard library, a shared one, must find them too.
#pragma GCC visibility push(default)
extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  static auto* next = real<ssize_t(int, const void*, size_t)>("write");
  if (!dnc::state) return next(fd, data, size);
  return call({"write", path_of(fd), ""},
              [&](bool part) { return next(fd, data, part ? (size + 2) / 3 : size); });
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static auto* next = real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  if (!dnc::state) return next(fd, data, size, offset);
  return call({"pwrite", path_of(fd), ""},
              [&](bool part) { return next(fd, data, part ? (size + 2) / 3 : size, offset); });
}

int fsync(int fd) {
  static auto* next = real<int(int)>("fsync");
  if (!dnc::state) return next(fd);
  return call({"fsync", path_of(fd), ""}, [](bool) { return 0; });
}

int ftruncate(int fd, off_t size) noexcept {
  static auto* next = real<int(int, off_t)>("ftruncate");
  if (!dnc::state) return next(fd, size);
  return call({"ftruncate", path_of(fd), ""}, [&](bool) { return next(fd, size); });
}

int open(const char* path, int flags, ...) {
  static auto* next = real<int(const char*, int, ...)>("open");
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = flags & O_CREAT ? va_arg(arguments, mode_t) : mode_t{0};
  va_end(arguments);
  if (!dnc::changes_files(flags)) return next(path, flags, mode);
  return call({"open", path, ""}, [&](bool) { return next(path, flags, mode); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* next = real<int(const char*, mode_t)>("mkdir");
  return call({"mkdir", path, ""}, [&](bool) { return next(path, mode); });
}

int rename(const char* from, const char* to) noexcept {
  static auto* next = real<int(const char*, const char*)>("rename");
  return call({"rename", from, to}, [&](bool) { return next(from, to); });
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  static auto* next = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return call({"renameat2", from, to}, [&](bool) {
    if (!dnc::state || !dnc::state->no_exchange)
      return next(from_folder, from, to_folder, to, flags);
    errno = EINVAL;
    return -1;
  });
}

int symlink(const char* target, const char* path) noexcept {
  static auto* next = real<int(const char*, const char*)>("symlink");
  return call({"symlink", path, target}, [&](bool) { return next(target, path); });
}

int unlink(const char* path) noexcept {
  static auto* next = real<int(const char*)>("unlink");
  return call({"unlink", path, ""}, [&](bool) { return next(path); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  static auto* next = real<int(int, const char*, int)>("unlinkat");
  return call({"unlinkat", path, ""}, [&](bool) { return next(folder, path, flags); });
}

int remove(const char* path) noexcept {
  static auto* next = real<int(const char*)>("remove");
  return call({"remove", path, ""}, [&](bool) { return next(path); });
}

}  // extern "C"
#pragma GCC visibility pop
