#pragma once

#include <torch/types.h>

namespace dnc {

/// log of the sum over all prototypes p of exp(x'p / temperature): points x [R, D] and prototypes
/// [M, D] to [R]. Neither pass holds all R * M products at once: where a gradient will be wanted,
/// it is computed with the value, block by block, and takes the memory of the points once more.
/// Differentiable in the points, once.
torch::Tensor log_sum_exp(const torch::Tensor& points, const torch::Tensor& prototypes,
                          double temperature);

/// The product x'p of each point and one prototype: points [R, D], prototypes [M, D] and `target`
/// int64 [R] to [R]. Differentiable in the points, once.
torch::Tensor dot_target(const torch::Tensor& points, const torch::Tensor& prototypes,
                         const torch::Tensor& target);

}  // namespace dnc
