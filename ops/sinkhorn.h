#pragma once

#include <torch/types.h>

#include "ops/groups.h"

namespace dnc {

/// Divides the samples of each class into K equal parts, near sub-centroids first: the transport
/// plan Q of the paper, which maximises Tr(Q'P'X) + epsilon * h(Q) with all its K marginals equal
/// (Sinkhorn-Knopp from exp(P'X / epsilon), `iterations` times). All classes at once.
///
/// `similarities` [N, K] are cosines of samples and the sub-centroids of their class, `classes`
/// says which samples are of one class. Returns [N, K], of which the softmax over K is the plan:
/// for each sample, its shares. Finite for similarities in [-1, 1] and any epsilon from 1e-4 on.
DNC_EXPORT torch::Tensor sinkhorn(const torch::Tensor& similarities, const Groups& classes,
                                  int64_t iterations, double epsilon);

/// The same by labels int64 [N], which are below `classes`; negative ones count nowhere, and get
/// anything finite. It is the operator dnc::sinkhorn_logits, which has a kernel for GPUs.
DNC_EXPORT torch::Tensor sinkhorn(const torch::Tensor& similarities, const torch::Tensor& labels,
                                  int64_t classes, int64_t iterations, double epsilon);

/// The sub-centroid that each sample goes to, int64 [N]: the one with the largest share of it. Of
/// shares that are equal to 1 %, the nearest's: where a class has fewer samples than sub-centroids,
/// each sample has several to itself, and one that is alone belongs to all of them alike.
DNC_EXPORT torch::Tensor largest_share(const torch::Tensor& plan_logits,
                                       const torch::Tensor& similarities);

/// The operator in LibTorch's own operators, for dispatch.cpp to register.
DNC_EXPORT torch::Tensor sinkhorn_by_operators(const torch::Tensor& similarities,
                                               const torch::Tensor& labels, int64_t classes,
                                               int64_t iterations, double epsilon);

}  // namespace dnc
