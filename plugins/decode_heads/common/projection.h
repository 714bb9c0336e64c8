#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"
#include "registry/fields.h"

namespace dnc {

struct ProjectionOptions {
  int64_t layers = 0;
  int64_t channels = 0;
  void fields(Fields& f);
};

/// Pixel by pixel into the space in which classes are compared: [N, C, H, W] to [N, D, H, W] by 1x1
/// convolutions, all but the last with norm and ReLU. With two layers it is ProtoSeg's projection
/// head (Zhou et al., "Rethinking Semantic Segmentation: A Prototype View", CVPR 2022). `0.conv`
/// and `0.bn` are the first layer and its norm, and so on; the last, `1` of two, has a bias.
class Projection final : public torch::nn::Module {
 public:
  /// `options.layers` at least 1.
  Projection(int64_t in_channels, const ProjectionOptions& options, const NormOptions& norm);
  torch::Tensor forward(const torch::Tensor& x);
  int64_t channels() const { return channels_; }

 private:
  int64_t channels_;
  std::vector<std::shared_ptr<ConvModule>> hidden_;
  torch::nn::Conv2d last_{nullptr};
};

}  // namespace dnc
