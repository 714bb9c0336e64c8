#include "host/train/autocast.h"

#include <ATen/autocast_mode.h>

namespace dnc {

Autocast::Autocast(Precision precision, torch::Device device)
    : active_(precision != Precision::kFloat32), device_(device.type()) {
  if (!active_) return;
  at::autocast::set_autocast_dtype(
      device_, precision == Precision::kBFloat16 ? torch::kBFloat16 : torch::kFloat16);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!active_) return;
  // The outermost region drops the copies of weights that it cast.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, false);
}

}  // namespace dnc
