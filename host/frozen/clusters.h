#pragma once

#include <torch/types.h>

#include "registry/random.h"

namespace dnc {

/// Points divided among K centres.
struct Clusters {
  torch::Tensor centres;   // float32 [K, D], of length 1
  double mean_cosine = 0;  // of each point with its nearest centre
};

/// Points [N, D] of length 1, N >= 1, to K centres near them, by spherical k-means (Dhillon and
/// Modha, "Concept decompositions for large sparse text data using clustering", 2001): each point
/// goes to the nearest centre, each centre becomes the direction of the sum of its points, until no
/// point moves or `iterations` are done. The first centres are points, drawn as k-means++ does
/// (Arthur and Vassilvitskii, 2007), each the best of 2 + log(K) draws. A centre that loses all its
/// points becomes the point that is least like its own. Fewer points than K have some centres in
/// common.
///
/// K = 1 gives the direction of the mean of all points. Sums are in float64.
Clusters cluster_directions(const torch::Tensor& points, int64_t K, int64_t iterations,
                            Random random);

}  // namespace dnc
