#include "host/train/ema.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>

#include <algorithm>
#include <unordered_set>

namespace dnc {

void EmaOptions::fields(Fields& f) {
  f("decay", decay, "Share of the average that an update keeps.").at_least(0).below(1);
  f("every", every, "Steps between updates.").at_least(1).alias("interval");
  f("warmup", warmup, "With w above 0, update n keeps at most n / (w + n - 1); usual is 10.")
      .at_least(0)
      .alias("warm_up");
}

Ema::Ema(const torch::nn::Module& model, const EmaOptions& options)
    : options_(options), updates_(torch::zeros({}, torch::kInt64)) {
  std::unordered_set<const c10::TensorImpl*> seen;  // a tied parameter has several names
  for (const auto& item : model.named_parameters()) {
    if (!seen.insert(item.value().unsafeGetTensorImpl()).second) continue;
    names_.push_back(item.key());
    parameters_.push_back(item.value());
    averages_.push_back(item.value().detach().clone());
  }
}

void Ema::update(const torch::Tensor& skip) {
  TORCH_CHECK(!swapped_, "Ema::update() while the model has the averaged parameters");
  const torch::NoGradGuard no_grad;
  const auto calls = ++*updates_.mutable_data_ptr<int64_t>();
  if (calls % options_.every != 0) return;
  double decay = options_.decay;
  if (options_.warmup > 0) {
    const auto n = static_cast<double>(calls / options_.every);
    decay = std::min(decay, n / (static_cast<double>(options_.warmup) + n - 1));
  }
  if (!skip.defined()) return at::_foreach_lerp_(averages_, parameters_, 1 - decay);
  const auto change = at::_foreach_sub(parameters_, averages_);
  at::_foreach_mul_(change, skip.logical_not() * (1 - decay));
  at::_foreach_add_(averages_, change);
}

void Ema::swap() {
  const torch::NoGradGuard no_grad;
  // One at a time: a second copy of all parameters might not fit.
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto live = parameters_[i].clone();
    parameters_[i].copy_(averages_[i]);
    averages_[i].copy_(live);
  }
  swapped_ = !swapped_;
}

std::vector<std::pair<std::string, torch::Tensor>> Ema::state() {
  TORCH_CHECK(!swapped_, "Ema::state() while the model has the averaged parameters");
  std::vector<std::pair<std::string, torch::Tensor>> named;
  for (size_t i = 0; i < names_.size(); ++i) {
    named.emplace_back("average." + names_[i], averages_[i]);
  }
  named.emplace_back("updates", updates_);
  return named;
}

}  // namespace dnc
