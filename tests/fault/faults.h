#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dnc {

/// What happens to one of the system calls that change files.
enum class Fault {
  kNone,
  kKill,         // the process ends before the call
  kTear,         // the process ends in the middle of a write, or after another call
  kDiskFull,     // this and all later calls that need room fail with ENOSPC, writes in the middle
  kInputOutput,  // it fails with EIO, once
  kInterrupt,    // it fails with EINTR, once; only for calls that can
  kShortWrites,  // all writes take a third of what they are given
};

/// The exit status of a process that kKill or kTear ended.
inline constexpr int kKilled = 86;

/// One call, as it was made.
struct SystemCall {
  std::string name;    // "write", "fsync", "rename", ...
  std::string path;    // the file or folder that it changes
  std::string target;  // of a rename or a link
};

/// While it lives, the system calls of this program that change files are counted from 1, recorded,
/// and the fault befalls call number `at`. fsync() does nothing more, which makes the tests fast:
/// killing a process, unlike cutting the power, loses nothing that was not flushed. The calls are
/// made by way of the functions in faults.cpp, which stand in for the C library's. One at a time.
class Faults {
 public:
  explicit Faults(Fault fault = Fault::kNone, int64_t at = 0);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  /// The file system does not know how to exchange two names (RENAME_EXCHANGE), as NFS.
  void forbid_exchange();
  const std::vector<SystemCall>& calls() const;
};

}  // namespace dnc
