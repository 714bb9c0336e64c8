#include "host/train/grad_scaler.h"

#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>

#include <map>

namespace dnc {

void GradScalerOptions::fields(Fields& f) {
  f("initial_scale", initial_scale, "Factor on the loss at the first step.").above(0);
  f("growth_factor", growth_factor, "Factor on the scale after growth_interval good steps.")
      .at_least(1);
  f("backoff_factor", backoff_factor, "Factor on the scale after a step that was left out.")
      .above(0)
      .below(1);
  f("growth_interval", growth_interval, "Good steps in a row before the scale grows.").at_least(1);
}

GradScaler::GradScaler(const GradScalerOptions& options, torch::Device device) : options_(options) {
  const auto like = torch::TensorOptions(torch::kFloat32).device(device);
  scale_ = torch::full({}, options.initial_scale, like);
  growth_tracker_ = torch::zeros({}, like.dtype(torch::kInt32));
  found_inf_ = torch::zeros({}, like);
}

torch::Tensor GradScaler::scale(const torch::Tensor& loss) const { return loss * scale_; }

void GradScaler::unscale(const std::vector<torch::Tensor>& gradients) {
  const torch::NoGradGuard no_grad;
  // Through float64, as PyTorch does: 1 / scale may be subnormal in between.
  const auto inverse = scale_.to(torch::kFloat64).reciprocal().to(torch::kFloat32);
  std::map<torch::ScalarType, std::vector<torch::Tensor>> by_type;  // the operator takes one type
  for (const auto& gradient : gradients) {
    if (gradient.defined()) by_type[gradient.scalar_type()].push_back(gradient);
  }
  for (auto& [type, list] : by_type) {
    at::_amp_foreach_non_finite_check_and_unscale_(list, found_inf_, inverse);
  }
}

void GradScaler::update() {
  const torch::NoGradGuard no_grad;
  at::_amp_update_scale_(scale_, growth_tracker_, found_inf_, options_.growth_factor,
                         options_.backoff_factor, options_.growth_interval);
  found_inf_.zero_();
}

double GradScaler::value() const { return scale_.item<double>(); }

std::vector<std::pair<std::string, torch::Tensor>> GradScaler::state() {
  return {{"scale", scale_}, {"growth_tracker", growth_tracker_}};
}

}  // namespace dnc
