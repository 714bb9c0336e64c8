#include "plugins/decode_heads/common/conv_module.h"

#include <ATen/ops/upsample_bilinear2d.h>

#include "plugins/backbones/common/residual_block.h"
#include "registry/error.h"

namespace dnc {

ConvModule::ConvModule(const ConvShape& shape, const NormOptions& norm)
    : needs_several_values_(norm.type != NormOptions::Type::kGroup && !norm.over_ranks()),
      conv_(register_module("conv", convolution(shape.in_channels, shape.out_channels, shape.kernel,
                                                /*stride=*/1, shape.dilation, shape.groups))),
      norm_(*this, norm.type == NormOptions::Type::kGroup ? "gn" : "bn", norm, shape.out_channels) {
}

torch::Tensor ConvModule::activate(const torch::Tensor& x) {
  if (needs_several_values_ && is_training() && x.size(0) * x.size(2) * x.size(3) == 1) {
    throw Error(
        "a batch norm of the decode head sees one value a channel, of which there is no variance: "
        "pooling to 1x1 needs at least 2 images a step (data.batch_size over train.accumulate), or "
        "norm: {type: group}");
  }
  return norm_(x).relu_();
}

DepthwiseSeparableConvModule::DepthwiseSeparableConvModule(const ConvShape& shape,
                                                           const NormOptions& norm) {
  auto each = shape;
  each.out_channels = shape.in_channels;
  each.groups = shape.in_channels;
  depthwise_ = register_module("depthwise_conv", std::make_shared<ConvModule>(each, norm));
  pointwise_ = register_module(
      "pointwise_conv",
      std::make_shared<ConvModule>(ConvShape{shape.in_channels, shape.out_channels}, norm));
}

torch::Tensor DepthwiseSeparableConvModule::forward(const torch::Tensor& x) {
  return pointwise_->forward(depthwise_->forward(x));
}

torch::Tensor resize_to(const torch::Tensor& x, const torch::Tensor& target, bool align_corners) {
  const int64_t height = target.size(2), width = target.size(3);
  if (x.size(2) == height && x.size(3) == width) return x;
  const bool one_pixel = x.size(2) == 1 && x.size(3) == 1;
  const auto resized = one_pixel ? x.expand({-1, -1, height, width})
                                 : at::upsample_bilinear2d(x, {height, width}, align_corners);
  // One pixel has no layout, so what is made of it would be channels-first.
  return resized.contiguous(target.suggest_memory_format());
}

}  // namespace dnc
