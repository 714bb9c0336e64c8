#pragma once

#include <cstdint>
#include <string>

#include "host/report/progress.h"

namespace dnc {

/// How far a pass over data is, on standard error: standard output has results only.
class BatchProgress {
 public:
  explicit BatchProgress(std::string label);
  void update(int64_t done, int64_t all);

 private:
  std::string label_;
  report::ProgressLine line_;
};

}  // namespace dnc
