#pragma once

#include <torch/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// Parameters that share a learning rate and a weight decay.
struct ParameterGroup {
  std::vector<std::string> names;
  std::vector<torch::Tensor> parameters;
  double lr_scale = 1.0;               // times the optimizer's lr
  std::optional<double> weight_decay;  // instead of the optimizer's
};

/// Changes parameters by their gradients. A parameter without a gradient is left alone.
class DNC_EXPORT Optimizer {
 public:
  virtual ~Optimizer();
  /// Called once, before the first step.
  virtual void set_groups(std::vector<ParameterGroup> groups) = 0;
  /// One step at `factor` times the base lr. `grad_scale` (a scalar tensor) divides the gradients
  /// first, and where `found_inf` (a scalar tensor) is 1 nothing changes; both undefined for none.
  virtual void step(double factor, const torch::Tensor& grad_scale,
                    const torch::Tensor& found_inf) = 0;
  /// The lr of the config, which the schedule's factor multiplies.
  virtual double base_lr() const = 0;
  virtual void set_base_lr(double lr) = 0;
  /// Named state, e.g. ("momentum.backbone.conv1.weight", ...), for checkpoints; complete from
  /// set_groups() on, so that it can be filled in place by a loader.
  virtual std::vector<std::pair<std::string, torch::Tensor>> state() = 0;
};

}  // namespace dnc
