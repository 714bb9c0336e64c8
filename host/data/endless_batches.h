#pragma once

#include "host/data/loader.h"

namespace dnc {

/// The batches of one epoch after the other, without end.
class EndlessBatches {
 public:
  EndlessBatches(std::shared_ptr<const Dataset> dataset,
                 std::vector<std::shared_ptr<const Transform>> transforms,
                 const LoaderOptions& options)
      : loader_(std::move(dataset), std::move(transforms), options) {}

  /// Throws what Loader::next() throws.
  Batch next();
  /// Seconds that next() took, over all calls.
  double waited() const { return waited_ + (epoch_ < 0 ? 0 : loader_.waited()); }

 private:
  Loader loader_;
  int64_t epoch_ = -1;
  double waited_ = 0;  // in the epochs before
};

}  // namespace dnc
