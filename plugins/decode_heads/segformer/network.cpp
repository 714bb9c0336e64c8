#include "plugins/decode_heads/segformer/network.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <string>

#include "plugins/backbones/common/residual_block.h"

namespace dnc {

void Segformer::Options::fields(Fields& f) {
  f.choice("interpolate_mode", interpolate_mode,
           {{"bilinear", Interpolation::kBilinear}, {"nearest", Interpolation::kNearest}},
           "How coarse maps are resized.");
  PixelHeadOptions::fields(f);
}

Segformer::Segformer(const Options& options, const Context& context)
    : PixelHead(options, context, Takes::kSeveralMaps),
      interpolate_mode_(options.interpolate_mode) {
  auto& convs = *register_module("convs", std::make_shared<torch::nn::Module>());
  for (const auto channels : in_channels()) {
    const ConvShape shape{channels, options.channels};
    convs_.push_back(convs.register_module(std::to_string(convs_.size()),
                                           std::make_shared<ConvModule>(shape, norm())));
  }
  const ConvShape all{std::ssize(convs_) * options.channels, options.channels};
  fusion_conv_ = register_module("fusion_conv", std::make_shared<ConvModule>(all, norm()));
  init_convolutions(*this);
}

torch::Tensor Segformer::forward(const Features& features) {
  const auto maps = select(features);
  const auto weights = fusion_conv_->weight().chunk(std::ssize(convs_), 1);
  torch::Tensor sum;
  for (size_t i = 0; i < maps.size(); ++i) {
    auto mixed = at::conv2d(convs_[i]->forward(maps[i]), weights[i]);
    if (i == 0) {
      sum = mixed;
      continue;
    }
    sum += interpolate_mode_ == Interpolation::kBilinear
               ? resize(mixed, sum)
               : at::upsample_nearest2d(mixed, {sum.size(2), sum.size(3)});
  }
  return embed(fusion_conv_->activate(sum));
}

}  // namespace dnc
