#include "ops/sinkhorn.h"

#include <ATen/core/dispatch/Dispatcher.h>

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

torch::Tensor sinkhorn_by_operators(const torch::Tensor& similarities, const torch::Tensor& labels,
                                    int64_t classes, int64_t iterations, double epsilon) {
  if (labels.is_cpu() && labels.numel() > 0) {  // a wrong one would be a write beyond the groups
    TORCH_CHECK_INDEX(labels.max().item<int64_t>() < classes, "dnc: a label is not below ",
                      classes);
  }
  // Those that count nowhere are a class of their own.
  const Groups groups(labels.masked_fill(labels.lt(0), classes), classes + 1);
  return sinkhorn(similarities, groups, iterations, epsilon);
}

torch::Tensor sinkhorn(const torch::Tensor& similarities, const torch::Tensor& labels,
                       int64_t classes, int64_t iterations, double epsilon) {
  using Operator = decltype(sinkhorn_by_operators);
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("dnc::sinkhorn_logits", "").typed<Operator>();
  return op.call(similarities, labels, classes, iterations, epsilon);
}

torch::Tensor largest_share(const torch::Tensor& plan_logits, const torch::Tensor& similarities) {
  const auto largest = plan_logits.amax(1, /*keepdim=*/true);
  const auto smaller = plan_logits.lt(largest + std::log(0.99));
  return similarities.masked_fill(smaller, -std::numeric_limits<double>::infinity()).argmax(1);
}

}  // namespace dnc
