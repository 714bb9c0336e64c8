#include "host/components/optimizers.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sqrt.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

/// The fused operators walk the memory of all their tensors side by side. On a CPU, LibTorch 2.11's
/// fused SGD leaves float16 and bfloat16 parameters as they are.
bool has_fused_operators(const torch::Tensor& parameter) {
  const auto type = parameter.scalar_type();
  const bool precise = type == torch::kFloat32 || type == torch::kFloat64;
  const bool reduced = type == torch::kFloat16 || type == torch::kBFloat16;
  return parameter.is_non_overlapping_and_dense() &&
         ((parameter.is_cpu() && precise) || (parameter.is_cuda() && (precise || reduced)));
}

/// Whether elements stand in the same order in memory. The stride of a dimension of size 1 means
/// nothing, and 1x1 convolutions do differ there.
bool same_layout(const torch::Tensor& a, const torch::Tensor& b) {
  for (int64_t i = 0; i < a.dim(); ++i) {
    if (a.size(i) != 1 && a.stride(i) != b.stride(i)) return false;
  }
  return true;
}

/// Values of scalars on their device, in one transfer.
std::vector<double> values_of(const std::vector<torch::Tensor>& scalars) {
  const auto host = torch::stack(scalars).to(torch::kCPU, torch::kFloat64);
  const auto* const first = host.data_ptr<double>();
  return {first, first + host.numel()};
}

std::optional<torch::Tensor> on_device_of(const torch::Tensor& scalar, const torch::Tensor& other) {
  if (!scalar.defined()) return std::nullopt;
  return scalar.to(other.device(), torch::kFloat32);
}

/// The norm of all tensors together, a float32 scalar on the device of the first, without waiting
/// for it.
torch::Tensor norm_of(const std::vector<torch::Tensor>& tensors) {
  std::vector<torch::Tensor> norms;
  for (const auto& norm : at::_foreach_norm(tensors, 2)) {
    norms.push_back(norm.to(tensors.front().device(), torch::kFloat32));
  }
  return torch::stack(norms).norm();
}

}  // namespace

GroupedOptimizer::GroupedOptimizer(double lr, double weight_decay, std::vector<std::string> moments,
                                   bool counts_steps, bool can_fuse)
    : lr_(lr),
      weight_decay_(weight_decay),
      moments_(std::move(moments)),
      counts_steps_(counts_steps),
      can_fuse_(can_fuse) {}

void GroupedOptimizer::set_groups(std::vector<ParameterGroup> groups) {
  TORCH_CHECK(buckets_.empty(), "Optimizer::set_groups() was called twice");
  for (auto& group : groups) {
    TORCH_CHECK(group.names.size() == group.parameters.size(), "a parameter group has ",
                group.names.size(), " names for ", group.parameters.size(), " parameters");
    const size_t first = buckets_.size();
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      const auto& parameter = group.parameters[i];
      const bool fused = can_fuse_ && has_fused_operators(parameter);
      auto bucket = std::find_if(buckets_.begin() + static_cast<std::ptrdiff_t>(first),
                                 buckets_.end(), [&](const Bucket& other) {
                                   const auto& head = other.parameters.front();
                                   return other.fused == fused &&
                                          head.device() == parameter.device() &&
                                          head.scalar_type() == parameter.scalar_type();
                                 });
      if (bucket == buckets_.end()) {
        bucket = buckets_.insert(bucket, Bucket());
        bucket->lr_scale = group.lr_scale;
        bucket->weight_decay = group.weight_decay.value_or(weight_decay_);
        bucket->fused = fused;
      }
      bucket->names.push_back(std::move(group.names[i]));
      bucket->parameters.push_back(parameter);
    }
  }
  for (auto& bucket : buckets_) allocate(bucket);
}

void GroupedOptimizer::allocate(Bucket& bucket) const {
  const torch::NoGradGuard no_grad;
  bucket.moments.resize(moments_.size());
  for (auto& moment : bucket.moments) {
    for (const auto& parameter : bucket.parameters) moment.push_back(torch::zeros_like(parameter));
  }
  if (counts_steps_) {
    bucket.steps = torch::zeros(
        {static_cast<int64_t>(bucket.parameters.size())},
        torch::TensorOptions(torch::kFloat32).device(bucket.parameters.front().device()));
  }
}

std::vector<std::pair<std::string, torch::Tensor>> GroupedOptimizer::state() {
  std::vector<std::pair<std::string, torch::Tensor>> named;
  for (const auto& bucket : buckets_) {
    for (size_t i = 0; i < bucket.names.size(); ++i) {
      for (size_t kind = 0; kind < moments_.size(); ++kind) {
        named.emplace_back(moments_[kind] + "." + bucket.names[i], bucket.moments[kind][i]);
      }
      if (counts_steps_) {
        named.emplace_back("step." + bucket.names[i], bucket.steps[static_cast<int64_t>(i)]);
      }
    }
  }
  return named;
}

void GroupedOptimizer::collect_gradients(Bucket& bucket) const {
  std::vector<bool> has_gradient;
  for (const auto& parameter : bucket.parameters) {
    has_gradient.push_back(parameter.grad().defined());
  }
  if (has_gradient != bucket.has_gradient) {
    Batch all{bucket.parameters, {}, bucket.moments, {}};
    if (counts_steps_) {
      all.steps = bucket.steps.unbind();
      const std::vector<float> ones(has_gradient.begin(), has_gradient.end());
      bucket.increment = torch::tensor(ones).to(bucket.steps.device());
    }
    bucket.active = select(all, has_gradient);
    bucket.has_gradient = std::move(has_gradient);
  }
  auto& active = bucket.active;
  active.gradients.clear();
  for (size_t i = 0; i < active.parameters.size(); ++i) {
    const auto& parameter = active.parameters[i];
    auto gradient = parameter.grad();
    if (bucket.fused) {
      for (const auto& moment : active.moments) {
        TORCH_CHECK(same_layout(parameter, moment[i]), "a parameter of shape ", parameter.sizes(),
                    " changed its memory layout after Optimizer::set_groups()");
      }
      if (!same_layout(parameter, gradient)) {
        gradient = torch::empty_like(parameter).copy_(gradient);
      }
    }
    active.gradients.push_back(std::move(gradient));
  }
}

void GroupedOptimizer::step(double factor, const torch::Tensor& grad_scale,
                            const torch::Tensor& found_inf) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> gradients;
  for (auto& bucket : buckets_) {
    collect_gradients(bucket);
    const auto& of_bucket = bucket.active.gradients;
    gradients.insert(gradients.end(), of_bucket.begin(), of_bucket.end());
  }
  if (gradients.empty()) return;
  begin_step(gradients, on_device_of(grad_scale, gradients.front()));
  for (auto& bucket : buckets_) {
    if (bucket.active.parameters.empty()) continue;
    const auto& parameter = bucket.parameters.front();
    step(bucket, lr_ * factor * bucket.lr_scale, on_device_of(grad_scale, parameter),
         on_device_of(found_inf, parameter));
    bucket.active.gradients.clear();  // not kept alive beyond the caller's zero_grad()
  }
}

void GroupedOptimizer::step(Bucket& bucket, double lr, Scalar grad_scale, Scalar found_inf) {
  auto& batch = bucket.active;
  batch.lr = lr;
  batch.weight_decay = bucket.weight_decay;
  if (counts_steps_) {
    // A step that found_inf suppresses does not count.
    bucket.steps.add_(found_inf ? bucket.increment * (1 - *found_inf) : bucket.increment);
  }
  if (bucket.fused) {
    update_fused(batch, grad_scale, found_inf);
    return;
  }
  if (found_inf && found_inf->item<float>() != 0) return;
  if (grad_scale) at::_foreach_div_(batch.gradients, *grad_scale);
  update_foreach(batch);
}

void GroupedOptimizer::begin_step(const std::vector<torch::Tensor>&, const Scalar&) {}

void GroupedOptimizer::update_fused(const Batch&, const Scalar&, const Scalar&) {
  TORCH_CHECK(false, "this optimizer has no fused operator");
}

GroupedOptimizer::Batch GroupedOptimizer::select(const Batch& batch,
                                                 const std::vector<bool>& keep) {
  const auto pick = [&keep](const std::vector<torch::Tensor>& from) {
    std::vector<torch::Tensor> picked;
    for (size_t i = 0; i < from.size(); ++i) {
      if (keep[i]) picked.push_back(from[i]);
    }
    return picked;
  };
  Batch picked;
  picked.parameters = pick(batch.parameters);
  picked.gradients = pick(batch.gradients);
  for (const auto& moment : batch.moments) picked.moments.push_back(pick(moment));
  picked.steps = pick(batch.steps);
  picked.lr = batch.lr;
  picked.weight_decay = batch.weight_decay;
  return picked;
}

void SGD::Options::fields(Fields& f) {
  f("lr", lr, "Learning rate that the schedule multiplies.").at_least(0);
  f("momentum", momentum, "Share of the last update that is kept.").at_least(0).below(1);
  f("dampening", dampening, "Share of the gradient that momentum leaves out.").between(0, 1);
  f("weight_decay", weight_decay, "Factor of the parameter that is added to its gradient.")
      .at_least(0);
  f("nesterov", nesterov, "Nesterov's momentum; needs momentum and no dampening.");
}

// Without dampening a buffer of zeros makes the first step what PyTorch's is; with it the first
// step of each parameter must be known, after a resume too.
SGD::SGD(const Options& options)
    : GroupedOptimizer(
          options.lr, options.weight_decay,
          options.momentum > 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{},
          options.momentum > 0 && options.dampening > 0),
      options_(options) {
  if (options.nesterov && (options.momentum == 0 || options.dampening != 0)) {
    throw OptionError("nesterov", "needs momentum above 0 and dampening 0");
  }
}

void SGD::split(const Batch& batch, const std::function<void(const Batch&, bool)>& apply) {
  if (batch.steps.empty() || batch.past_first_step) return apply(batch, /*first=*/false);
  std::vector<bool> first, later;
  batch.past_first_step = true;
  for (const double step : values_of(batch.steps)) {
    first.push_back(step == 1);
    later.push_back(step != 1);
    batch.past_first_step = batch.past_first_step && step > 1;
  }
  if (const auto some = select(batch, first); !some.parameters.empty()) apply(some, true);
  if (const auto some = select(batch, later); !some.parameters.empty()) apply(some, false);
}

void SGD::update_fused(const Batch& batch, const Scalar& grad_scale, const Scalar& found_inf) {
  split(batch, [&](const Batch& part, bool first) {
    at::_fused_sgd_(part.parameters, part.gradients,
                    part.moments.empty() ? at::TensorList() : at::TensorList(part.moments[0]),
                    part.weight_decay, options_.momentum, part.lr, options_.dampening,
                    options_.nesterov, /*maximize=*/false, first, grad_scale, found_inf);
  });
}

void SGD::update_foreach(const Batch& batch) {
  split(batch, [&](const Batch& part, bool first) {
    auto updates = part.gradients;
    if (part.weight_decay != 0) {
      updates = at::_foreach_add(updates, part.parameters, part.weight_decay);
    }
    if (options_.momentum > 0) {
      const auto& buffers = part.moments[0];
      if (first) {
        at::_foreach_copy_(buffers, updates);
      } else {
        at::_foreach_mul_(buffers, options_.momentum);
        at::_foreach_add_(buffers, updates, 1 - options_.dampening);
      }
      updates = options_.nesterov ? at::_foreach_add(updates, buffers, options_.momentum) : buffers;
    }
    at::_foreach_add_(part.parameters, updates, -part.lr);
  });
}

void Adam::Options::fields(Fields& f) {
  f("lr", lr, "Learning rate that the schedule multiplies.").at_least(0);
  f("betas", betas, "Shares that the means of gradients and of their squares keep.")
      .at_least(0)
      .below(1)
      .length(2, 2);
  f("eps", eps, "Added to the root of the mean square.").at_least(0);
  f("weight_decay", weight_decay, "Pull of each parameter towards zero.").at_least(0);
}

Adam::Adam(const Options& options) : Adam(options, /*decoupled=*/false) {}

Adam::Adam(const Options& options, bool decoupled)
    : GroupedOptimizer(options.lr, options.weight_decay, {"exp_avg", "exp_avg_sq"},
                       /*counts_steps=*/true),
      options_(options),
      decoupled_(decoupled) {}

void Adam::update_fused(const Batch& batch, const Scalar& grad_scale, const Scalar& found_inf) {
  const auto update = [&](auto&& fused) {
    fused(batch.parameters, batch.gradients, batch.moments[0], batch.moments[1],
          /*max_exp_avg_sqs=*/at::TensorList(), batch.steps, batch.lr, options_.betas[0],
          options_.betas[1], batch.weight_decay, options_.eps, /*amsgrad=*/false,
          /*maximize=*/false, grad_scale, found_inf);
  };
  if (decoupled_) {
    update([](auto&&... arguments) { at::_fused_adamw_(arguments...); });
  } else {
    update([](auto&&... arguments) { at::_fused_adam_(arguments...); });
  }
}

void Adam::update_foreach(const Batch& batch) {
  const double beta1 = options_.betas[0];
  const double beta2 = options_.betas[1];
  std::vector<at::Scalar> roots, rates;
  for (const double step : values_of(batch.steps)) {
    roots.emplace_back(std::sqrt(1 - std::pow(beta2, step)));
    rates.emplace_back(-batch.lr / (1 - std::pow(beta1, step)));
  }
  auto gradients = batch.gradients;
  if (decoupled_) {
    at::_foreach_mul_(batch.parameters, 1 - batch.lr * batch.weight_decay);
  } else if (batch.weight_decay != 0) {
    gradients = at::_foreach_add(gradients, batch.parameters, batch.weight_decay);
  }
  at::_foreach_lerp_(batch.moments[0], gradients, 1 - beta1);
  at::_foreach_mul_(batch.moments[1], beta2);
  at::_foreach_addcmul_(batch.moments[1], gradients, gradients, 1 - beta2);
  const auto denominators = at::_foreach_sqrt(batch.moments[1]);
  at::_foreach_div_(denominators, roots);
  at::_foreach_add_(denominators, options_.eps);
  at::_foreach_addcdiv_(batch.parameters, batch.moments[0], denominators, rates);
}

void LAMB::Options::fields(Fields& f) {
  f("lr", lr, "Learning rate that the schedule multiplies.").at_least(0);
  f("betas", betas, "Shares that the means of gradients and of their squares keep.")
      .at_least(0)
      .below(1)
      .length(2, 2);
  f("eps", eps, "Added to the root of the mean square.").at_least(0);
  f("weight_decay", weight_decay, "Factor of the parameter that is added to its update.")
      .at_least(0);
  f("grad_averaging", grad_averaging,
    "Whether the mean of the gradients adds 1 - beta1 of a new one, or all of it.");
  f("max_grad_norm", max_grad_norm, "Largest norm of all gradients together; 0 does not clip.")
      .at_least(0);
  f("trust_clip", trust_clip, "No parameter moves by more than lr times its Adam update.");
  f("always_adapt", always_adapt, "Parameters without weight decay move by their length too.");
}

LAMB::LAMB(const Options& options)
    : GroupedOptimizer(options.lr, options.weight_decay, {"exp_avg", "exp_avg_sq"},
                       /*counts_steps=*/true, /*can_fuse=*/false),
      options_(options) {}

void LAMB::begin_step(const std::vector<torch::Tensor>& gradients, const Scalar& grad_scale) {
  if (options_.max_grad_norm == 0) return;
  auto norm = norm_of(gradients);
  if (grad_scale) norm = norm / *grad_scale;
  clip_ = (norm / options_.max_grad_norm).clamp_min(1);
}

void LAMB::update_foreach(const Batch& batch) {
  auto updates = adam_updates(batch);
  if (batch.weight_decay != 0) at::_foreach_add_(updates, batch.parameters, batch.weight_decay);
  if (batch.weight_decay != 0 || options_.always_adapt) {
    at::_foreach_mul_(updates, trust_ratios(batch.parameters, updates));
  }
  at::_foreach_add_(batch.parameters, updates, -batch.lr);
}

std::vector<torch::Tensor> LAMB::adam_updates(const Batch& batch) const {
  const double beta1 = options_.betas[0];
  const double beta2 = options_.betas[1];
  const auto& means = batch.moments[0];
  const auto& squares = batch.moments[1];
  auto gradients = batch.gradients;
  if (clip_.defined()) {
    gradients = at::_foreach_div(gradients, clip_.to(gradients.front().device()));
  }
  if (options_.grad_averaging) {
    at::_foreach_lerp_(means, gradients, 1 - beta1);
  } else {
    at::_foreach_mul_(means, beta1);
    at::_foreach_add_(means, gradients);
  }
  at::_foreach_mul_(squares, beta2);
  at::_foreach_addcmul_(squares, gradients, gradients, 1 - beta2);

  // The corrections stay on the device: as scalars of the host each step would wait for it.
  const auto steps = torch::stack(batch.steps).to(torch::kFloat64);
  const auto type = torch::promote_types(means.front().scalar_type(), torch::kFloat32);
  const auto corrections = [&](const torch::Tensor& of_steps) {
    return of_steps.to(type).unbind();
  };
  auto denominators = at::_foreach_sqrt(squares);
  at::_foreach_div_(denominators, corrections((1 - at::pow(beta2, steps)).sqrt()));
  at::_foreach_add_(denominators, options_.eps);
  auto updates = at::_foreach_div(means, corrections(1 - at::pow(beta1, steps)));
  at::_foreach_div_(updates, denominators);
  return updates;
}

std::vector<torch::Tensor> LAMB::trust_ratios(const std::vector<torch::Tensor>& parameters,
                                              const std::vector<torch::Tensor>& updates) const {
  const auto own = torch::stack(at::_foreach_norm(parameters, 2));
  const auto moves = torch::stack(at::_foreach_norm(updates, 2));
  auto ratios = at::where(own.gt(0).logical_and(moves.gt(0)), own / moves, 1);
  if (options_.trust_clip) ratios = ratios.clamp_max(1);
  return ratios.unbind();
}

}  // namespace dnc
