#include "host/train/batch_copy.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace dnc {

BatchCopy::BatchCopy(torch::Device device) : device_(device) {
  if (device.is_cpu()) return;
  stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  copied_.emplace(device.type());
}

Batch BatchCopy::operator()(Batch batch) {
  if (!stream_) return batch;
  const auto compute = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  {
    const c10::StreamGuard copying(*stream_);
    batch.images = batch.images.to(device_, /*non_blocking=*/true);
    batch.labels = batch.labels.to(device_, /*non_blocking=*/true);
    copied_->record(*stream_);
  }
  copied_->block(compute);
  // Their memory is not given to the next batch before the computation is done with it.
  batch.images.record_stream(compute);
  batch.labels.record_stream(compute);
  return batch;
}

}  // namespace dnc
