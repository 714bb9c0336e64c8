#pragma once

#include "registry/dataset.h"
#include "registry/export.h"
#include "registry/random.h"

namespace dnc {

/// Changes one sample: its image and, for pixels, its label image in step. Thread-safe; all
/// randomness comes from `random`, so that a sample of an epoch always looks the same.
class DNC_EXPORT Transform {
 public:
  virtual ~Transform();
  virtual void apply(Sample& sample, Random& random) const = 0;
};

}  // namespace dnc
