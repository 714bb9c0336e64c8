#pragma once

#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <torch/types.h>

#include <optional>

#include "registry/batch.h"

namespace dnc {

/// Takes batches from the host to the device that trains. On a GPU the copy has a stream of its
/// own: the host is a step ahead of the device, so the next batch comes while this one is computed.
/// Page-locked batches (LoaderOptions::pin) are copied without waiting.
class BatchCopy {
 public:
  explicit BatchCopy(torch::Device device);
  /// The images and labels on the device; work that the current stream gets from now on may use
  /// them.
  Batch operator()(Batch batch);

 private:
  torch::Device device_;
  std::optional<c10::Stream> stream_;  // where there is more than the host
  std::optional<c10::Event> copied_;
};

}  // namespace dnc
