#pragma once

#include <torch/types.h>

namespace dnc {

/// The residual branch [N, ...] of a block. In training each sample's is zero with probability
/// `rate`, and divided by 1 - rate otherwise (Huang et al. 2016, "Deep networks with stochastic
/// depth"; drop path in timm and mmcls).
torch::Tensor stochastic_depth(const torch::Tensor& branch, double rate, bool training);

/// The rate of block `index` of `count`: from 0 for the first to `last` for the last in equal
/// steps.
double stochastic_depth_rate(int64_t index, int64_t count, double last);

}  // namespace dnc
