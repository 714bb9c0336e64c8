#include "plugins/decode_heads/psp/network.h"

#include "plugins/backbones/common/residual_block.h"

namespace dnc {

void Psp::Options::fields(Fields& f) {
  f("pool_scales", pool_scales, "The map is seen as s x s parts, for each of these s.")
      .between(1, 1024)
      .length(1, 16);
  OneMapHeadOptions::fields(f);
}

Psp::Psp(const Options& options, const Context& context)
    : PixelHead(options, context),
      pooling_(register_module(
          "psp_modules",
          std::make_shared<PyramidPooling>(in_channels_of_one(), options.channels,
                                           options.pool_scales, norm(), options.align_corners))) {
  const ConvShape shape{pooling_->out_channels(), options.channels, 3};
  bottleneck_ = register_module("bottleneck", std::make_shared<ConvModule>(shape, norm()));
  init_convolutions(*this);
}

torch::Tensor Psp::forward(const Features& features) {
  return embed(bottleneck_->forward(pooling_->forward(select_one(features))));
}

}  // namespace dnc
