#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include "ops/groups.h"

namespace dnc {

/// The last points of each class, up to a fixed number of them, so that there are enough to cluster
/// where a batch has few of a class (the paper's external memory). A ring in each class; all of it
/// is buffers: `samples` [C, capacity, D], `added` int64 [C], the points that came so far.
class SampleMemory final : public torch::nn::Module {
 public:
  SampleMemory(int64_t classes, int64_t capacity, int64_t channels);

  /// Adds points [N, D] of the classes `labels` int64 [N] where `counts` bool [N]; of a class that
  /// has more than the memory holds, the first of them.
  void add(const torch::Tensor& points, const torch::Tensor& labels, const torch::Tensor& counts);

  /// Where the points of the classes in `classes` lie in samples.flatten(0, 1), int64 [G *
  /// capacity], and their class, or -1 where nothing lies yet.
  std::pair<torch::Tensor, torch::Tensor> find(const Groups& classes) const;

  torch::Tensor samples;
  torch::Tensor added;
};

}  // namespace dnc
