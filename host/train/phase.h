#pragma once

#include <ATen/record_function.h>

namespace dnc {

/// A named part of a step, while it lives: a range in the trace of a Profile, and under Nsight
/// Systems one of NVTX (NvtxRanges). While nobody listens it costs a few nanoseconds.
///
/// The names are data, forward, backward, all_reduce, optimizer, update, and replay in place of
/// forward and backward where those are replayed as a CUDA graph.
class Phase {
 public:
  explicit Phase(const char* name) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) record_.before(name);
  }
  Phase(const Phase&) = delete;
  Phase& operator=(const Phase&) = delete;

 private:
  at::RecordFunction record_;
};

}  // namespace dnc
