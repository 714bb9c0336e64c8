#include "plugins/backbones/common/sync_batch_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include <vector>

namespace dnc {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// A value of each channel [C] to where x has its channels.
torch::Tensor beside(const torch::Tensor& value, const torch::Tensor& x) {
  std::vector<int64_t> sizes(static_cast<size_t>(x.dim()), 1);
  sizes[1] = value.numel();
  return value.view(sizes);
}

/// All dimensions but that of the channels.
std::vector<int64_t> others(const torch::Tensor& x) {
  std::vector<int64_t> dims{0};
  for (int64_t i = 2; i < x.dim(); ++i) dims.push_back(i);
  return dims;
}

torch::Tensor precise(const torch::Tensor& x) {
  return x.to(x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat);
}

/// Mean [C], variance [C] and count [] of all ranks' samples.
struct Statistics {
  torch::Tensor mean, variance, count;
};

Statistics statistics_of_all(const torch::Tensor& x, Communicator& ranks) {
  const int64_t C = x.size(1);
  const int64_t count = x.numel() / C;
  auto own = torch::zeros({1, 2 * C + 1}, x.options());  // means, squared deviations, count
  if (count > 0) {
    const auto mean = x.mean(others(x));
    own[0].narrow(0, 0, C).copy_(mean);
    own[0].narrow(0, C, C).copy_((x - beside(mean, x)).square_().sum(others(x)));
    own[0][2 * C].fill_(count);
  }
  const auto all = ranks.gather(own);
  const auto means = all.narrow(1, 0, C);
  const auto deviations = all.narrow(1, C, C);
  const auto counts = all.narrow(1, 2 * C, 1);
  Statistics found;
  found.count = counts.sum();
  found.mean = (means * counts).sum(0) / found.count;
  found.variance = (deviations + (means - found.mean).square() * counts).sum(0) / found.count;
  return found;
}

class SyncBatchNorm : public torch::autograd::Function<SyncBatchNorm> {
 public:
  static variable_list forward(AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, const torch::Tensor& bias, double eps,
                               Communicator* ranks) {
    const auto values = precise(x);
    const auto all = statistics_of_all(values, *ranks);
    const auto scale = (all.variance + eps).rsqrt();
    auto y = (values - beside(all.mean, x)).mul_(beside(scale * weight, x)).add_(beside(bias, x));
    context->save_for_backward({x, weight, all.mean, scale, all.count});
    context->saved_data["ranks"] = reinterpret_cast<int64_t>(ranks);
    context->mark_non_differentiable({all.mean, all.variance, all.count});
    return {y.to(x.scalar_type()), all.mean, all.variance, all.count};
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1], &mean = saved[2], &scale = saved[3];
    auto* const ranks = reinterpret_cast<Communicator*>(context->saved_data["ranks"].toInt());
    const auto gradient = gradients[0].to(mean.scalar_type());
    const auto centred = x.to(mean.scalar_type()) - beside(mean, x);
    const auto own = torch::stack({gradient.sum(others(x)), (gradient * centred).sum(others(x))});
    const auto sums = own.clone();
    ranks->sum({sums});
    const auto means = sums / saved[4];
    auto of_x = gradient - beside(means[0], x) - centred * beside(scale.square() * means[1], x);
    of_x = (of_x * beside(scale * weight, x)).to(x.scalar_type());
    return {of_x, (own[1] * scale).to(weight.scalar_type()), own[0].to(weight.scalar_type()),
            torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor sync_batch_norm(const torch::Tensor& x, torch::nn::BatchNorm2dImpl& norm,
                              Communicator& ranks) {
  const auto result = SyncBatchNorm::apply(x, norm.weight, norm.bias, norm.options.eps(), &ranks);
  const torch::NoGradGuard no_grad;
  norm.num_batches_tracked.add_(1);
  const double momentum = norm.options.momentum().value();
  const auto& count = result[3];
  const auto unbiased = result[2] * (count / (count - 1).clamp_min(1));
  norm.running_mean.mul_(1 - momentum).add_(result[1], momentum);
  norm.running_var.mul_(1 - momentum).add_(unbiased, momentum);
  return result[0];
}

}  // namespace dnc
