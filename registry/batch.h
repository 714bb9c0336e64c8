#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace dnc {

/// N samples as a network takes them.
struct Batch {
  torch::Tensor images;       // uint8 or float32 [N, 3, H, W], in channels-last memory
  torch::Tensor labels;       // int64 [N], or [N, H, W] for pixels; kIgnoredLabel where ignored
  torch::Tensor soft_labels;  // float32 [N, classes], rows sum to 1, where images were mixed, else
                              // undefined; `labels` then holds the class of the largest share
  std::vector<int64_t> indices;  // [N], in the data set

  int64_t size() const { return static_cast<int64_t>(indices.size()); }
};

}  // namespace dnc
