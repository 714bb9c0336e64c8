#pragma once

#include "registry/batch.h"
#include "registry/export.h"
#include "registry/random.h"

namespace dnc {

/// Changes a whole batch in training, after its images were normalised (float32) and on the device
/// that trains: Mixup, CutMix. All randomness comes from `random`, one stream a step, so that a
/// resumed run draws the same.
class DNC_EXPORT BatchTransform {
 public:
  virtual ~BatchTransform();
  virtual void apply(Batch& batch, Random& random) const = 0;
};

}  // namespace dnc
