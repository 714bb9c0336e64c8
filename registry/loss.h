#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include "registry/export.h"

namespace dnc {

/// Scores [N, classes, ...] and targets to a scalar. Targets are int64 labels [N, ...], where
/// kIgnoredLabel does not count, or soft labels of the scores' shape (Mixup).
class DNC_EXPORT Loss : public torch::nn::Module {
 public:
  ~Loss() override;
  virtual torch::Tensor forward(const torch::Tensor& scores, const torch::Tensor& targets) = 0;
};

}  // namespace dnc
