#include "ops/batch_norm_relu.h"

#include <ATen/core/dispatch/Dispatcher.h>

namespace dnc {
namespace {

/// A number for each channel, beside x [N, C, H, W].
torch::Tensor beside(const torch::Tensor& of_channels) { return of_channels.view({1, -1, 1, 1}); }

torch::Tensor channels_last(const torch::Tensor& x) {
  return x.contiguous(at::MemoryFormat::ChannelsLast);
}

/// The type that half precision is computed in.
at::ScalarType exact_type(const torch::Tensor& x) {
  return at::promote_types(x.scalar_type(), torch::kFloat);
}

void check_like_x(const torch::Tensor& given, const torch::Tensor& x, const char* what) {
  TORCH_CHECK(given.sym_sizes() == x.sym_sizes() && given.scalar_type() == x.scalar_type() &&
                  given.device() == x.device(),
              "dnc: ", what, " of batch_norm_relu must be as x, ", x.sym_sizes(), " of ",
              x.scalar_type(), " on ", x.device(), ", not ", given.sym_sizes(), " of ",
              given.scalar_type(), " on ", given.device());
}

void check_of_channels(at::ArrayRef<torch::Tensor> of_channels, const torch::Tensor& x) {
  for (const auto& each : of_channels) {
    TORCH_CHECK(each.dim() == 1 && each.sym_size(0) == x.sym_size(1) &&
                    each.scalar_type() == exact_type(x) && each.device() == x.device(),
                "dnc: weight, bias and statistics of batch_norm_relu must be [", x.sym_size(1),
                "] of ", exact_type(x), " on ", x.device(), ", not ", each.sym_sizes(), " of ",
                each.scalar_type(), " on ", each.device());
  }
}

}  // namespace

void check_batch_norm_relu(const torch::Tensor& x, const std::optional<torch::Tensor>& residual,
                           std::array<torch::Tensor, 4> of_channels, bool training) {
  TORCH_CHECK(x.dim() == 4 && x.is_floating_point(),
              "dnc: batch_norm_relu expects floats [N, C, H, W], got ", x.sym_sizes(), " of ",
              x.scalar_type());
  if (residual) check_like_x(*residual, x, "the residual");
  check_of_channels(of_channels, x);
  TORCH_CHECK(!training || x.sym_numel() > x.sym_size(1),
              "dnc: batch_norm_relu in training needs more than one number per channel, got ",
              x.sym_sizes());
}

void check_batch_norm_relu_backward(const torch::Tensor& gradient, const torch::Tensor& x,
                                    const torch::Tensor& y,
                                    std::array<torch::Tensor, 3> of_channels) {
  TORCH_CHECK(x.dim() == 4, "dnc: batch_norm_relu expects [N, C, H, W], got ", x.sym_sizes());
  check_like_x(gradient, x, "the gradient");
  check_like_x(y, x, "the result");
  check_of_channels(of_channels, x);
}

torch::Tensor batch_norm_relu(const torch::Tensor& x, const std::optional<torch::Tensor>& residual,
                              const torch::Tensor& weight, const torch::Tensor& bias,
                              torch::Tensor& running_mean, torch::Tensor& running_var,
                              bool training, double momentum, double eps) {
  using Forward = decltype(batch_norm_relu_forward);
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("dnc::batch_norm_relu_forward", "")
                             .typed<Forward>();
  return std::get<0>(
      op.call(x, residual, weight, bias, running_mean, running_var, training, momentum, eps));
}

std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> batch_norm_relu_forward(
    const torch::Tensor& x, const std::optional<torch::Tensor>& residual,
    const torch::Tensor& weight, const torch::Tensor& bias, torch::Tensor& running_mean,
    torch::Tensor& running_var, bool training, double momentum, double eps) {
  check_batch_norm_relu(x, residual, {weight, bias, running_mean, running_var}, training);
  auto [y, mean, rstd] = at::native_batch_norm(channels_last(x), weight, bias, running_mean,
                                               running_var, training, momentum, eps);
  if (!training) {
    mean = running_mean.to(exact_type(x), /*non_blocking=*/false, /*copy=*/true);
    rstd = (running_var.to(exact_type(x)) + eps).rsqrt_();
  }
  y = channels_last(y);
  if (residual) y.add_(*residual);
  return {y.relu_(), mean, rstd};
}

// With u = (x - mean) rstd and dz, the gradient of z = u weight + bias + residual:
//   dx = weight rstd (dz - mean of dz - u mean of (u dz)),
// where the means are over the batch, and 0 where the statistics are not those of the batch.
std::tuple<torch::Tensor, torch::Tensor, torch::Tensor, torch::Tensor> batch_norm_relu_backward(
    const torch::Tensor& gradient, const torch::Tensor& x, const torch::Tensor& y,
    const torch::Tensor& weight, const torch::Tensor& mean, const torch::Tensor& rstd,
    bool training, bool residual) {
  check_batch_norm_relu_backward(gradient, x, y, {weight, mean, rstd});
  const auto slope = channels_last(at::threshold_backward(gradient, y, 0));
  auto of_residual = residual ? slope : at::empty({0}, x.options());
  if (training) {
    auto [of_x, of_weight, of_bias] =
        at::native_batch_norm_backward(slope, channels_last(x), weight, {}, {}, mean, rstd,
                                       /*train=*/true, /*eps=*/0, {true, true, true});
    return {channels_last(of_x), of_residual, of_weight, of_bias};
  }
  const auto exact = slope.to(exact_type(x));
  const auto unit = (x.to(exact.scalar_type()) - beside(mean)).mul_(beside(rstd));
  const auto of_x = exact * beside(rstd * weight);
  return {channels_last(of_x.to(x.scalar_type())), of_residual, (exact * unit).sum({0, 2, 3}),
          exact.sum({0, 2, 3})};
}

}  // namespace dnc
