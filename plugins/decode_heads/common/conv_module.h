#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>

#include "plugins/backbones/common/norm.h"

namespace dnc {

/// A square convolution that keeps the size of its map.
struct ConvShape {
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t kernel = 1;  // odd
  int64_t dilation = 1;
  int64_t groups = 1;
};

/// relu(norm(convolution(x))): [N, C, H, W] to [N, D, H, W]. Named as mmcv's ConvModule: `conv`,
/// without bias, and `bn`, or `gn` for a group norm.
class ConvModule final : public torch::nn::Module {
 public:
  ConvModule(const ConvShape& shape, const NormOptions& norm);

  /// Throws Error in training for a batch norm of one value a channel: it would always be 0.
  torch::Tensor forward(const torch::Tensor& x) { return activate(conv_(x)); }
  /// The second half of it: what the convolution gave, to norm and ReLU, in place where it can.
  torch::Tensor activate(const torch::Tensor& x);
  torch::Tensor weight() const { return conv_->weight; }

 private:
  bool needs_several_values_;
  torch::nn::Conv2d conv_;
  Norm norm_;
};

/// A k x k convolution in each channel by itself and a 1x1 over the channels, each with its norm
/// and ReLU: mmcv's DepthwiseSeparableConvModule, `depthwise_conv` and `pointwise_conv`.
class DepthwiseSeparableConvModule final : public torch::nn::Module {
 public:
  DepthwiseSeparableConvModule(const ConvShape& shape, const NormOptions& norm);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  std::shared_ptr<ConvModule> depthwise_;
  std::shared_ptr<ConvModule> pointwise_;
};

/// `x` [N, C, h, w] with the height and width of `target` (bilinear), and its memory format.
torch::Tensor resize_to(const torch::Tensor& x, const torch::Tensor& target, bool align_corners);

}  // namespace dnc
