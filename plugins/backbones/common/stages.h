#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <vector>

namespace dnc {

/// Throws OptionError("out_stages") where they do not rise.
void check_out_stages(const std::vector<int64_t>& stages);

/// Throws OptionError(option) for a list that has neither one value for each of the `stages` nor
/// none, which stands for the default of the network's size.
void check_one_per_stage(const std::string& option, const std::vector<int64_t>& values,
                         int64_t stages);

/// What is frozen stays in evaluation mode, and its parameters do not learn.
void freeze(torch::nn::Module& module);

}  // namespace dnc
