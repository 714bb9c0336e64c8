#include "ops/sinkhorn.h"

#include <cmath>
#include <limits>

namespace dnc {

// Each iteration scales the sub-centroids, so that each gets the same from the class, then the
// samples, so that each gives one in all. Only the first is kept, as its logarithm `scale`: the
// softmax implies the second.
//
// No sum can overflow or vanish. The first is taken relative to its largest term. After it the sums
// over a class are equal, so its terms are at most 1, a sample's largest share of a sub-centroid is
// at least 1 / (n K), and that bounds the next sum; and so on.
torch::Tensor sinkhorn(const torch::Tensor& similarities, const Groups& classes, int64_t iterations,
                       double epsilon) {
  const auto logits = similarities / epsilon;
  const auto largest = classes.max(logits);
  auto scale = classes.sum((logits - classes.to_samples(largest)).exp_()).log_().add_(largest);
  for (int64_t i = 1; i < iterations; ++i) {
    const auto plan = at::softmax(logits - classes.to_samples(scale), 1);
    scale += classes.sum(plan).log_();
  }
  return logits - classes.to_samples(scale);
}

torch::Tensor largest_share(const torch::Tensor& plan_logits, const torch::Tensor& similarities) {
  const auto largest = plan_logits.amax(1, /*keepdim=*/true);
  const auto smaller = plan_logits.lt(largest + std::log(0.99));
  return similarities.masked_fill(smaller, -std::numeric_limits<double>::infinity()).argmax(1);
}

}  // namespace dnc
