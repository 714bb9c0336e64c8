#pragma once

#include <torch/types.h>

#include <cstdint>

#include "host/frozen/embeddings.h"

namespace dnc {

/// The nearest points of each query, nearest first.
struct Neighbours {
  torch::Tensor indices;  // int64 [Q, k]
  torch::Tensor cosines;  // float32 [Q, k]
};

/// The k points [N, D] with the largest cosine to each query [Q, D], all of length 1, by comparing
/// each with each. Of points that are equally near the first counts as nearer. Beside its result it
/// takes a fixed amount of memory (about 64 MiB); the products are made on `device`. k is at most
/// N.
Neighbours nearest_neighbours(const torch::Tensor& queries, const torch::Tensor& points, int64_t k,
                              torch::Device device);

/// Shares of queries whose label is the first, or one of the first five, of their neighbours'
/// classes.
struct KnnAccuracy {
  double top1 = 0;
  double top5 = 0;
};

/// Each of the k nearest neighbours votes for its class with weight exp(cosine / temperature) (Wu
/// et al., "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018;
/// as DINO evaluates). Of classes with equal votes the first is ahead; a class without a vote is no
/// answer. `neighbours` has k columns or more; `labels` int64 [Q] are of the queries,
/// `point_labels` int64 [N] of the points.
KnnAccuracy knn_accuracy(const Neighbours& neighbours, const torch::Tensor& labels,
                         const torch::Tensor& point_labels, int64_t k, double temperature,
                         int64_t classes);

/// Embeddings set to length 1, in place.
void normalise_rows(torch::Tensor& values);

}  // namespace dnc
