#include "plugins/decode_heads/fcn/network.h"

#include <ATen/ops/cat.h>

#include <string>

#include "plugins/backbones/common/residual_block.h"
#include "registry/error.h"

namespace dnc {

void Fcn::Options::fields(Fields& f) {
  f("num_convs", num_convs, "Convolutions in a row.").between(0, 64);
  f("kernel_size", kernel_size, "Side of the convolutions; odd.").between(1, 63);
  f("concat_input", concat_input,
    "One more convolution, which looks at the map and the others' result together.");
  f("dilation", dilation, "Pixels from one tap of the convolutions to the next.").between(1, 256);
  OneMapHeadOptions::fields(f);
}

Fcn::Fcn(const Options& options, const Context& context) : PixelHead(options, context) {
  if (options.kernel_size % 2 == 0) {
    throw OptionError("kernel_size", "must be odd, not " + std::to_string(options.kernel_size));
  }
  ConvShape shape{in_channels_of_one(), options.channels, options.kernel_size, options.dilation};
  if (options.num_convs == 0 && shape.in_channels != shape.out_channels) {
    throw OptionError("num_convs", "0 needs channels: " + std::to_string(shape.in_channels) +
                                       ", those of the map, not " +
                                       std::to_string(shape.out_channels));
  }
  auto& convs = *register_module("convs", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < options.num_convs; ++i) {
    convs_.push_back(
        convs.register_module(std::to_string(i), std::make_shared<ConvModule>(shape, norm())));
    shape.in_channels = options.channels;
  }
  if (options.concat_input) {
    const ConvShape both{in_channels_of_one() + options.channels, options.channels,
                         options.kernel_size};
    conv_cat_ = register_module("conv_cat", std::make_shared<ConvModule>(both, norm()));
  }
  init_convolutions(*this);
}

torch::Tensor Fcn::forward(const Features& features) {
  const auto map = select_one(features);
  auto x = map;
  for (const auto& conv : convs_) x = conv->forward(x);
  if (conv_cat_) x = conv_cat_->forward(at::cat({map, x}, 1));
  return embed(x);
}

}  // namespace dnc
