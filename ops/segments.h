#pragma once

#include <torch/types.h>

#include <utility>

#include "registry/export.h"

namespace dnc {

/// Means of values [R, D] by segment: `segments` int64 [R], each in [0, size), negative where a row
/// counts nowhere. Returns means [size, D], 0 of a segment without a row, and counts [size]. The
/// same bits each time.
DNC_EXPORT std::pair<torch::Tensor, torch::Tensor> segment_mean(const torch::Tensor& values,
                                                                const torch::Tensor& segments,
                                                                int64_t size);

/// What it throws for arguments that do not fit.
DNC_EXPORT void check_segments(const torch::Tensor& values, const torch::Tensor& segments);

/// Its gradient of the values [R, D], from that of the means.
torch::Tensor segment_mean_backward(const torch::Tensor& gradient, const torch::Tensor& segments,
                                    const torch::Tensor& counts);

/// Moves rows of a table [M, D] towards the mean of the points [R, D] that were given to them, and
/// back to length 1:
///
///   row <- momentum * row + (1 - momentum) * mean of its points
///
/// (the paper's equation for the sub-centroids). `rows` int64 [R] says where a point goes, in
/// [0, M), and `counts` bool [R] whether it does; points that do not count must be 0. Rows without
/// a point, and those that would become 0, stay as they are. The work is bounded by R, not by M.
DNC_EXPORT void momentum_update(torch::Tensor& table, const torch::Tensor& points,
                                const torch::Tensor& rows, const torch::Tensor& counts,
                                double momentum);

/// The operator dnc::momentum_update_ in LibTorch's own operators: the same, with negative `rows`
/// for points that do not count, whatever they are.
DNC_EXPORT void momentum_update_by_operators(torch::Tensor& table, const torch::Tensor& points,
                                             const torch::Tensor& rows, double momentum);

/// What it throws for arguments that do not fit.
DNC_EXPORT void check_momentum_update(const torch::Tensor& table, const torch::Tensor& points,
                                      const torch::Tensor& rows);

}  // namespace dnc
