#pragma once

#include <torch/types.h>

namespace dnc {

/// Cosine between each row and the nearest prototype of each class, times `factor`: x [..., D] and
/// prototypes [C, K, D] of length 1 to [..., C], the maximum over K. A row of zeros has cosine 0 to
/// all.
///
/// Differentiable in x, once; the gradient goes through the nearest prototypes alone. Neither pass
/// holds all C * K cosines of all rows at once, nor a copy of x, also where x is [N, D, h, w] seen
/// as [N, h, w, D]. Under jit::trace the result has no baked-in size.
torch::Tensor nearest_cosine(const torch::Tensor& x, const torch::Tensor& prototypes,
                             double factor = 1);

/// Dot products of points and the prototypes of their class: [R, K]. Row i is points[rows[i]], or
/// points[i] where `rows` is not defined; `labels` int64 [R] are the classes, and where one is
/// negative the row is 0. `points` [*, D], `prototypes` [C, K, D].
torch::Tensor own_similarities(const torch::Tensor& points, const torch::Tensor& rows,
                               const torch::Tensor& labels, const torch::Tensor& prototypes);

}  // namespace dnc
