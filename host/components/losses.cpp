#include "host/components/losses.h"

#include <ATen/core/Reduction.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cross_entropy_loss.h>

#include <cstdint>
#include <string>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

/// Whether targets are soft ones. They are of the scores' shape, labels of one without the classes.
bool check_targets(const char* loss, const torch::Tensor& scores, const torch::Tensor& targets) {
  const bool soft = targets.is_floating_point();
  auto expected = scores.sizes().vec();
  if (!soft && expected.size() > 1) expected.erase(expected.begin() + 1);
  TORCH_CHECK(scores.dim() >= 2 && targets.sizes() == expected, loss, ": scores are ",
              scores.sizes(), ", so targets must be ", at::IntArrayRef(expected), ", not ",
              targets.sizes());
  return soft;
}

/// Scores in the type in which a loss is computed.
torch::Tensor precise(const torch::Tensor& scores) {
  return scores.scalar_type() == torch::kFloat64 ? scores : scores.to(torch::kFloat32);
}

}  // namespace

void CrossEntropy::Options::fields(Fields& f) {
  f("weight", weight, "Factor on this loss in the sum of all losses.")
      .at_least(0)
      .alias("loss_weight");
  f("label_smoothing", label_smoothing,
    "Share of each target that is spread evenly over all classes (Szegedy et al. 2016).")
      .at_least(0)
      .below(1);
  f("class_weights", class_weights, "One factor per class, in the order of the labels; none: 1.")
      .at_least(0)
      .alias("class_weight");
}

CrossEntropy::CrossEntropy(const Options& options, const Context& context)
    : weight_(options.weight), label_smoothing_(options.label_smoothing) {
  if (options.class_weights.empty()) return;
  const auto given = static_cast<int64_t>(options.class_weights.size());
  if (given != context.classes.size()) {
    throw OptionError("class_weights", "needs one number for each of the " +
                                           std::to_string(context.classes.size()) +
                                           " classes, not " + std::to_string(given));
  }
  class_weights_ =
      register_buffer("class_weights", torch::tensor(options.class_weights, torch::kFloat32));
}

torch::Tensor CrossEntropy::forward(const torch::Tensor& scores, const torch::Tensor& targets) {
  const bool soft = check_targets("CrossEntropy", scores, targets);
  const auto loss =
      soft ? from_soft_targets(precise(scores), targets) : from_labels(precise(scores), targets);
  return weight_ == 1 ? loss : loss * weight_;
}

torch::Tensor CrossEntropy::from_labels(const torch::Tensor& scores,
                                        const torch::Tensor& labels) const {
  const auto weights =
      class_weights_.defined() ? class_weights_.to(scores.scalar_type()) : torch::Tensor();
  const auto sum = at::cross_entropy_loss(scores, labels, weights, at::Reduction::Sum,
                                          kIgnoredLabel, label_smoothing_);
  const auto valid = labels != kIgnoredLabel;
  const auto share = weights.defined() ? (weights.index({labels.clamp_min(0)}) * valid).sum()
                                       : valid.sum().to(scores.scalar_type());
  // PyTorch's own mean divides by a share of 0 where nothing is valid.
  return sum / torch::where(share > 0, share, 1);
}

torch::Tensor CrossEntropy::from_soft_targets(const torch::Tensor& scores,
                                              const torch::Tensor& targets) const {
  const auto mass = targets.sum(1, /*keepdim=*/true);
  auto weights = targets.to(scores.scalar_type());
  if (label_smoothing_ > 0) {
    const auto spread = label_smoothing_ / static_cast<double>(scores.size(1));
    weights = weights * (1 - label_smoothing_) + mass * spread;
  }
  if (class_weights_.defined()) {
    std::vector<int64_t> shape(static_cast<size_t>(scores.dim()), 1);
    shape[1] = -1;
    weights = weights * class_weights_.to(scores.scalar_type()).view(shape);
  }
  const auto count = (mass > 0).sum().clamp_min(1);
  return -(weights * scores.log_softmax(1)).sum() / count;
}

void BinaryCrossEntropy::Options::fields(Fields& f) {
  f("weight", weight, "Factor on this loss in the sum of all losses.")
      .at_least(0)
      .alias("loss_weight");
  f("label_smoothing", label_smoothing,
    "Share of each target that is spread evenly over all classes (Szegedy et al. 2016).")
      .at_least(0)
      .below(1)
      .alias("smoothing");
  f("target_threshold", target_threshold,
    "Targets above it count as 1, others as 0; none: targets stay as they are.")
      .at_least(0)
      .below(1);
  f("sum_classes", sum_classes, "Add up the classes instead of their mean.");
}

torch::Tensor BinaryCrossEntropy::forward(const torch::Tensor& scores,
                                          const torch::Tensor& targets) {
  const bool soft = check_targets("BinaryCrossEntropy", scores, targets);
  const auto logits = precise(scores);
  const auto type = logits.scalar_type();
  const auto counted =
      soft ? targets.sum(1, /*keepdim=*/true).gt(0) : targets.ne(kIgnoredLabel).unsqueeze(1);
  auto wanted = soft ? targets.to(type)
                     : at::zeros_like(logits).scatter_(1, targets.clamp_min(0).unsqueeze(1), 1);
  const int64_t classes = scores.size(1);
  if (options_.label_smoothing > 0) {
    const double spread = options_.label_smoothing / static_cast<double>(classes);
    wanted = wanted * (1 - options_.label_smoothing) + spread;
  }
  if (options_.target_threshold) wanted = wanted.gt(*options_.target_threshold).to(type);
  const auto each = at::binary_cross_entropy_with_logits(logits, wanted, /*weight=*/{},
                                                         /*pos_weight=*/{}, at::Reduction::None);
  auto points = counted.sum().clamp_min(1);
  if (!options_.sum_classes) points = points * classes;
  return each.masked_fill(counted.logical_not(), 0).sum() / points * options_.weight;
}

}  // namespace dnc
