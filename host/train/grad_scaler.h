#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "registry/fields.h"

namespace dnc {

struct GradScalerOptions {
  double initial_scale = 65536;
  double growth_factor = 2;
  double backoff_factor = 0.5;
  int64_t growth_interval = 2000;
  void fields(Fields& f);
};

/// Keeps gradients of float16 computations above what float16 rounds to zero: the loss is
/// multiplied by a scale, gradients are divided by it, and a step whose gradients are not finite is
/// left out and lowers the scale. Equal to torch.amp.GradScaler. Nothing but value() waits for the
/// device.
///
///   scaler.scale(loss).backward();
///   scaler.unscale(gradients);                 // after the reduction over ranks, before clipping
///   optimizer.step(factor, {}, scaler.found_inf());
///   scaler.update();
class GradScaler {
 public:
  GradScaler(const GradScalerOptions& options, torch::Device device);

  /// The loss, a scalar, times the scale.
  torch::Tensor scale(const torch::Tensor& loss) const;
  /// Divides gradients by the scale in place and sets found_inf() where one is not finite;
  /// undefined ones are passed over. May be called more than once in a step, for different
  /// gradients. After a reduction over ranks all ranks find the same.
  void unscale(const std::vector<torch::Tensor>& gradients);
  /// Float32 scalar on the device: 1 if this step must be left out, else 0.
  const torch::Tensor& found_inf() const { return found_inf_; }
  /// Ends the step: adapts the scale and clears found_inf().
  void update();

  /// The scale now.
  double value() const;
  /// "scale", float32, and "growth_tracker", int32: the good steps since it last changed. Scalars.
  std::vector<std::pair<std::string, torch::Tensor>> state();

 private:
  GradScalerOptions options_;
  torch::Tensor scale_;
  torch::Tensor growth_tracker_;
  torch::Tensor found_inf_;
};

}  // namespace dnc
