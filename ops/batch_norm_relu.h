#pragma once

#include <torch/types.h>

#include <array>
#include <optional>
#include <tuple>

#include "registry/export.h"

namespace dnc {

/// relu(batch_norm(x) + residual) of images x [N, C, H, W], in channels-last memory: the end of a
/// block of a residual network in one pass over memory. `residual`, of x's shape, may be left out.
/// weight, bias, running_mean and running_var are [C], float32, or float64 where x is. In training
/// the statistics are those of the batch, and the running ones move towards them by `momentum`, in
/// place. It is the operator dnc::batch_norm_relu, in Python torch.ops.dnc.batch_norm_relu.
///
/// Differentiable in x, residual, weight and bias, once. It keeps x and its own result, which the
/// next layer keeps anyway: where the result is 0, relu has no gradient.
DNC_EXPORT torch::Tensor batch_norm_relu(const torch::Tensor& x,
                                         const std::optional<torch::Tensor>& residual,
                                         const torch::Tensor& weight, const torch::Tensor& bias,
                                         torch::Tensor& running_mean, torch::Tensor& running_var,
                                         bool training, double momentum = 0.1, double eps = 1e-5);

// The operators behind it, in LibTorch's own operators.

/// The result, and mean and 1 / sqrt(var + eps) that it was computed with, [C].
DNC_EXPORT std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> batch_norm_relu_forward(
    const torch::Tensor& x, const std::optional<torch::Tensor>& residual,
    const torch::Tensor& weight, const torch::Tensor& bias, torch::Tensor& running_mean,
    torch::Tensor& running_var, bool training, double momentum, double eps);

/// The gradients of x, residual, weight and bias from that of the result y. Without a residual the
/// second is empty.
DNC_EXPORT std::tuple<torch::Tensor, torch::Tensor, torch::Tensor, torch::Tensor>
batch_norm_relu_backward(const torch::Tensor& gradient, const torch::Tensor& x,
                         const torch::Tensor& y, const torch::Tensor& weight,
                         const torch::Tensor& mean, const torch::Tensor& rstd, bool training,
                         bool residual);

/// What it throws for arguments that do not fit; for all devices.
DNC_EXPORT void check_batch_norm_relu(const torch::Tensor& x,
                                      const std::optional<torch::Tensor>& residual,
                                      std::array<torch::Tensor, 4> of_channels, bool training);
DNC_EXPORT void check_batch_norm_relu_backward(const torch::Tensor& gradient,
                                               const torch::Tensor& x, const torch::Tensor& y,
                                               std::array<torch::Tensor, 3> of_channels);

}  // namespace dnc
