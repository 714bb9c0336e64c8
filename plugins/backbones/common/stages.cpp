#include "plugins/backbones/common/stages.h"

#include <algorithm>
#include <functional>

#include "registry/error.h"

namespace dnc {

void check_out_stages(const std::vector<int64_t>& stages) {
  if (std::adjacent_find(stages.begin(), stages.end(), std::greater_equal<>()) != stages.end()) {
    throw OptionError("out_stages", "must name each stage once, from fine to coarse");
  }
}

void check_one_per_stage(const std::string& option, const std::vector<int64_t>& values,
                         int64_t stages) {
  if (values.empty() || std::ssize(values) == stages) return;
  throw OptionError(option, "must have " + std::to_string(stages) + " items, one a stage, not " +
                                std::to_string(values.size()));
}

void freeze(torch::nn::Module& module) {
  module.eval();
  for (auto& parameter : module.parameters()) parameter.requires_grad_(false);
}

}  // namespace dnc
