#pragma once

#include <cstdint>

#include "registry/export.h"

namespace dnc {

/// The learning rate over a run: a pure function of the step, so a resumed run needs no state.
/// A constructor finds the length of the run and of an epoch in Context::run.
class DNC_EXPORT Schedule {
 public:
  virtual ~Schedule();
  /// The factor on the base lr for step 0, 1, ..., before warm-up.
  virtual double factor(int64_t step) const = 0;
};

}  // namespace dnc
