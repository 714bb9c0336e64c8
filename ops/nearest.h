#pragma once

#include <torch/types.h>

#include <optional>
#include <tuple>

#include "registry/export.h"

namespace dnc {

/// Cosine between each row and the nearest prototype of each class, times `factor`: x [..., D] and
/// prototypes [C, K, D] of length 1 to [..., C], the maximum over K. A row of zeros has cosine 0 to
/// all. It is the operator dnc::nearest_scores, in Python torch.ops.dnc.nearest_scores.
///
/// Differentiable in x, once; the gradient goes through the nearest prototypes alone. Neither pass
/// holds all C * K cosines of all rows at once, nor a copy of x, also where x is [N, D, h, w] seen
/// as [N, h, w, D]. Under jit::trace it records LibTorch's own operators, with no baked-in size.
DNC_EXPORT torch::Tensor nearest_cosine(const torch::Tensor& x, const torch::Tensor& prototypes,
                                        double factor = 1);

/// Dot products of points and the prototypes of their class: [R, K]. Row i is points[rows[i]], or
/// points[i] where `rows` is not defined; `labels` int64 [R] are the classes, and where one is
/// negative the row is 0. `points` [*, D], `prototypes` [C, K, D].
DNC_EXPORT torch::Tensor own_similarities(const torch::Tensor& points, const torch::Tensor& rows,
                                          const torch::Tensor& labels,
                                          const torch::Tensor& prototypes);

// The operators behind them in LibTorch's own operators, for dispatch.cpp to register.

/// Scores [..., C], which of its prototypes is the nearest of each class, uint8 [..., C], and
/// factor / |x|, [...], 0 for a row of zeros.
DNC_EXPORT std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> nearest_of_classes(
    const torch::Tensor& x, const torch::Tensor& prototypes, double factor);

/// The gradient of x from that of the scores.
DNC_EXPORT torch::Tensor nearest_of_classes_backward(const torch::Tensor& gradient,
                                                     const torch::Tensor& x,
                                                     const torch::Tensor& prototypes,
                                                     const torch::Tensor& index,
                                                     const torch::Tensor& scale, double factor);

/// x [..., D] as [N, P, D], without a copy where the pixels lie behind each other; as one image if
/// they all do.
DNC_EXPORT torch::Tensor flatten_rows(const torch::Tensor& x);

/// What the two above throw for arguments that do not fit.
DNC_EXPORT void check_nearest(const torch::Tensor& x, const torch::Tensor& prototypes);

/// What the second throws besides, for what the forward pass left. Numbers in an index are the
/// places where the kernels read.
DNC_EXPORT void check_of_forward(const torch::Tensor& gradient, const torch::Tensor& x,
                                 const torch::Tensor& prototypes, const torch::Tensor& index,
                                 const torch::Tensor& scale);

DNC_EXPORT torch::Tensor own_similarities_by_operators(const torch::Tensor& points,
                                                       const std::optional<torch::Tensor>& rows,
                                                       const torch::Tensor& labels,
                                                       const torch::Tensor& prototypes);

}  // namespace dnc
