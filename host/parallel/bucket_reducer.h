#pragma once

#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>
#include <utility>
#include <vector>

#include "host/parallel/ranks.h"

namespace dnc {

/// GradientReducer by LibTorch's own engine (c10d::Reducer, that of DistributedDataParallel).
/// Gradients are not views into its buckets: a parameter that no rank uses must keep no gradient,
/// or an optimizer would decay it.
class BucketReducer final : public GradientReducer {
 public:
  /// Throws Error where the ranks have parameters of different number or shapes.
  BucketReducer(const std::vector<std::pair<std::string, torch::Tensor>>& parameters,
                const c10::intrusive_ptr<c10d::ProcessGroup>& group);

  void backward(const torch::Tensor& loss, bool last) override;

 private:
  std::unique_ptr<c10d::Reducer> reducer_;
};

}  // namespace dnc
