#include "plugins/heads/dnc/contrast.h"

#include <torch/csrc/autograd/custom_function.h>

#include "ops/blocks.h"

namespace dnc {
namespace {

class LogSumExp : public torch::autograd::Function<LogSumExp> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& points, const torch::Tensor& prototypes,
                               double temperature) {
    const int64_t R = points.size(0), M = prototypes.size(0);
    const bool differentiable = points.requires_grad();
    auto result = at::empty({R}, points.options());
    auto slopes = differentiable ? at::empty_like(points) : torch::Tensor();
    const int64_t step = std::max<int64_t>(1, block_size(points) / M);
    auto buffer = at::empty({std::min(step, R), M}, points.options());
    for (int64_t i = 0; i < parts(R, step); ++i) {
      const auto [row, count] = part(i, step, R);
      auto terms = buffer.narrow(0, 0, count);
      at::mm_out(terms, points.narrow(0, row, count), prototypes.t());
      terms.div_(temperature);
      const auto largest = terms.amax(1, /*keepdim=*/true);
      const auto sum = terms.sub_(largest).exp_().sum(1, /*keepdim=*/true);
      result.narrow(0, row, count).copy_((largest + sum.log()).squeeze(1));
      if (!differentiable) continue;
      auto slope = slopes.narrow(0, row, count);
      at::mm_out(slope, terms, prototypes);
      slope.div_(sum * temperature);
    }
    if (differentiable) context->save_for_backward({slopes});
    return result;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "DNC: the losses have no second derivative");
    const auto slopes = context->get_saved_variables()[0];
    return {slopes * gradients[0].unsqueeze(1), torch::Tensor(), torch::Tensor()};
  }
};

class DotTarget : public torch::autograd::Function<DotTarget> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& points, const torch::Tensor& prototypes,
                               const torch::Tensor& target) {
    const int64_t R = points.size(0);
    auto result = at::empty({R}, points.options());
    const int64_t step = std::max<int64_t>(1, block_size(points) / points.size(1));
    for (int64_t i = 0; i < parts(R, step); ++i) {
      const auto [row, count] = part(i, step, R);
      const auto own = prototypes.index_select(0, target.narrow(0, row, count));
      auto to = result.narrow(0, row, count);
      at::sum_out(to, points.narrow(0, row, count) * own, 1);
    }
    context->save_for_backward({prototypes, target});
    return result;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "DNC: the losses have no second derivative");
    const auto saved = context->get_saved_variables();
    auto result = saved[0].index_select(0, saved[1]).mul_(gradients[0].unsqueeze(1));
    return {result, torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

torch::Tensor log_sum_exp(const torch::Tensor& points, const torch::Tensor& prototypes,
                          double temperature) {
  return LogSumExp::apply(points, prototypes, temperature);
}

torch::Tensor dot_target(const torch::Tensor& points, const torch::Tensor& prototypes,
                         const torch::Tensor& target) {
  return DotTarget::apply(points, prototypes, target);
}

}  // namespace dnc
