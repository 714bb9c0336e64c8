#include "plugins/backbones/common/stochastic_depth.h"

#include <algorithm>
#include <vector>

namespace dnc {

torch::Tensor stochastic_depth(const torch::Tensor& branch, double rate, bool training) {
  if (!training || rate == 0) return branch;
  std::vector<int64_t> one_per_sample(branch.dim(), 1);
  one_per_sample.front() = branch.size(0);
  const auto keep = torch::empty(one_per_sample, branch.options()).bernoulli_(1 - rate);
  return branch * keep.div_(1 - rate);
}

double stochastic_depth_rate(int64_t index, int64_t count, double last) {
  return last * static_cast<double>(index) / static_cast<double>(std::max<int64_t>(count - 1, 1));
}

}  // namespace dnc
