#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <vector>

#include "registry/export.h"

namespace dnc {

/// Feature maps from fine to coarse, each [N, C_i, H_i, W_i].
using Features = std::vector<torch::Tensor>;

/// What is known of a feature map before an image is seen.
struct FeatureShape {
  int64_t channels = 0;  // C_i
  int64_t stride = 1;    // pixels of the image per step of the map: H_i is about H / stride
};

/// Images [N, 3, H, W], normalised, to feature maps.
class DNC_EXPORT Backbone : public torch::nn::Module {
 public:
  ~Backbone() override;
  virtual Features forward(const torch::Tensor& images) = 0;
  /// One for each map that forward() returns, in the same order.
  virtual std::vector<FeatureShape> shapes() const = 0;
};

}  // namespace dnc
