#pragma once

#include <torch/types.h>

#include <optional>
#include <vector>

#include "registry/context.h"
#include "registry/fields.h"
#include "registry/loss.h"

namespace dnc {

/// Scores [N, C, ...] and targets to the mean of -log softmax(scores)[target], a scalar.
///
/// Labels int64 [N, ...]: the mean over those that are not kIgnoredLabel, each weighted by its
/// class; equal to PyTorch's cross_entropy. Where every label is ignored the loss is 0 and so are
/// its gradients (PyTorch gives NaN).
///
/// Soft targets of the scores' shape: a point whose targets sum to 0 is ignored. The mean is over
/// the number of the others, as in PyTorch.
///
/// Computed in float32 (float64 for float64 scores) whatever the scores' type is.
class CrossEntropy final : public Loss {
 public:
  struct Options {
    double weight = 1;
    double label_smoothing = 0;
    std::vector<double> class_weights;
    void fields(Fields& f);
  };

  /// Throws OptionError where class_weights has not one number per class.
  CrossEntropy(const Options& options, const Context& context);
  torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) override;

 private:
  torch::Tensor from_labels(const torch::Tensor& scores, const torch::Tensor& labels) const;
  torch::Tensor from_soft_targets(const torch::Tensor& scores, const torch::Tensor& targets) const;

  double weight_;
  double label_smoothing_;
  torch::Tensor class_weights_;  // float32 [C], or undefined for equal ones
};

/// Scores [N, C, ...] and targets to the mean over points and classes of
///
///   -t log sigmoid(score) - (1 - t) log(1 - sigmoid(score)),
///
/// a scalar: each class is a question of its own (Wightman et al., "ResNet strikes back", 2021;
/// timm's BinaryCrossEntropy). With `sum_classes` it is the sum over classes and the mean over
/// points.
///
/// t is 1 for the class of a label and 0 for the others, or the soft target; smoothed to
/// t * (1 - label_smoothing) + label_smoothing / C. With a `target_threshold` it then becomes 1
/// where it is above that, and else 0: both classes of a mixed image may be true.
///
/// Points with kIgnoredLabel, and those whose soft targets sum to 0, do not count; where none does
/// the loss is 0. Computed in float32 (float64 for float64 scores).
class BinaryCrossEntropy final : public Loss {
 public:
  struct Options {
    double weight = 1;
    double label_smoothing = 0;
    std::optional<double> target_threshold;
    bool sum_classes = false;
    void fields(Fields& f);
  };

  explicit BinaryCrossEntropy(const Options& options) : options_(options) {}
  torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) override;

 private:
  Options options_;
};

}  // namespace dnc
