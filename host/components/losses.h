#pragma once

#include <torch/types.h>

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

}  // namespace dnc
