#include "host/data/endless_batches.h"

#include <utility>

namespace dnc {

Batch EndlessBatches::next() {
  for (;;) {
    if (epoch_ >= 0) {
      if (auto batch = loader_.next()) return std::move(*batch);
      waited_ += loader_.waited();
    }
    loader_.start(++epoch_);
  }
}

}  // namespace dnc
