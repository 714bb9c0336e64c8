#pragma once

#include <torch/types.h>

#include <tuple>

#include "registry/export.h"

namespace dnc {

/// The rows of x [N, P, D], in any layout, to length 1: [N * P, D]. Rows of zeros and those whose
/// label, int64 [N * P], is negative become 0. Differentiable in x, once; holds one copy of x.
DNC_EXPORT torch::Tensor unit_rows(const torch::Tensor& x, const torch::Tensor& labels);

/// The operator dnc::unit_rows in LibTorch's own operators: the rows, and their scale, 1 / |x| or
/// 0, [N * P].
DNC_EXPORT std::tuple<torch::Tensor, torch::Tensor> unit_rows_by_operators(
    const torch::Tensor& x, const torch::Tensor& labels);

/// Whether all of a row is finite, and its length too: x [N, P, D], in any layout, to bool [N * P].
DNC_EXPORT torch::Tensor finite_rows(const torch::Tensor& x);

}  // namespace dnc
