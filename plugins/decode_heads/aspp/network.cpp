#include "plugins/decode_heads/aspp/network.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>

#include <string>
#include <utility>

#include "plugins/backbones/common/residual_block.h"
#include "registry/error.h"

namespace dnc {

void AtrousPyramidHead::Options::fields(Fields& f) {
  f("dilations", dilations,
    "Pixels from one tap of the pyramid's 3x3 convolutions to the next, for each of them; 1 is a "
    "1x1 convolution. mmseg takes [1, 12, 24, 36] for a map of stride 8.")
      .between(1, 1024)
      .length(1, 16);
  OneMapHeadOptions::fields(f);
}

AtrousPyramidHead::AtrousPyramidHead(const Options& options, const Context& context,
                                     Convolutions convolutions)
    : PixelHead(options, context) {
  auto& image_pool = *register_module("image_pool", std::make_shared<torch::nn::Module>());
  image_pool_ = image_pool.register_module(
      "1", std::make_shared<ConvModule>(ConvShape{in_channels_of_one(), options.channels}, norm()));
  auto& modules = *register_module("aspp_modules", std::make_shared<torch::nn::Module>());
  const auto add = [&](auto module) {
    modules.register_module(std::to_string(branches_.size()), module);
    branches_.emplace_back([module](const torch::Tensor& x) { return module->forward(x); });
  };
  for (const auto dilation : options.dilations) {
    const int64_t kernel = dilation == 1 ? 1 : 3;
    const ConvShape shape{in_channels_of_one(), options.channels, kernel, dilation};
    if (convolutions == Convolutions::kDepthwiseSeparable && kernel > 1) {
      add(std::make_shared<DepthwiseSeparableConvModule>(shape, norm()));
    } else {
      add(std::make_shared<ConvModule>(shape, norm()));
    }
  }
}

torch::Tensor AtrousPyramidHead::pooled(const torch::Tensor& map) {
  return resize(image_pool_->forward(map.mean({2, 3}, /*keepdim=*/true)), map);
}

std::vector<torch::Tensor> AtrousPyramidHead::dilated(const torch::Tensor& map) {
  std::vector<torch::Tensor> parts;
  for (const auto& branch : branches_) parts.push_back(branch(map));
  return parts;
}

void Aspp::Options::fields(Fields& f) {
  f.choice("layout", layout, {{"mmseg", Layout::kMmseg}, {"torchvision", Layout::kTorchvision}},
           "What follows the pyramid: a 3x3 convolution (mmseg), or a 1x1, dropout and a 3x3 "
           "(torchvision).");
  f("project_dropout", project_dropout,
    "Share of the values behind torchvision's 1x1 convolution that is zeroed in training.")
      .at_least(0)
      .below(1);
  AtrousPyramidHead::Options::fields(f);
}

Aspp::Aspp(const Options& options, const Context& context)
    : AtrousPyramidHead(options, context, Convolutions::kPlain),
      project_dropout_(options.project_dropout) {
  ConvShape shape{pyramid_channels(), options.channels};
  if (options.layout == Layout::kTorchvision) {
    project_ = register_module("project", std::make_shared<ConvModule>(shape, norm()));
    shape.in_channels = options.channels;
  }
  shape.kernel = 3;
  bottleneck_ = register_module("bottleneck", std::make_shared<ConvModule>(shape, norm()));
  init_convolutions(*this);
}

torch::Tensor Aspp::forward(const Features& features) {
  const auto map = select_one(features);
  auto parts = dilated(map);
  if (!project_) {
    parts.insert(parts.begin(), pooled(map));
    return embed(bottleneck_->forward(at::cat(parts, 1)));
  }
  parts.push_back(pooled(map));
  const auto x = at::dropout(project_->forward(at::cat(parts, 1)), project_dropout_, is_training());
  return embed(bottleneck_->forward(x));
}

void DepthwiseSeparableAspp::Options::fields(Fields& f) {
  f("c1_in_channels", c1_in_channels,
    "Channels of the backbone's first map, which it says itself; 0 does without this map.")
      .at_least(0);
  f("c1_channels", c1_channels, "Channels that the first map contributes.").between(1, 16384);
  AtrousPyramidHead::Options::fields(f);
}

DepthwiseSeparableAspp::DepthwiseSeparableAspp(const Options& options, const Context& context)
    : AtrousPyramidHead(options, context, Convolutions::kDepthwiseSeparable) {
  const auto& norm = this->norm();
  bottleneck_ = register_module(
      "bottleneck",
      std::make_shared<ConvModule>(ConvShape{pyramid_channels(), options.channels, 3}, norm));
  ConvShape mix{options.channels, options.channels, 3};
  const auto finest = context.features.front().channels;
  if (options.c1_in_channels.value_or(finest) != 0) {
    if (options.c1_in_channels.value_or(finest) != finest) {
      throw OptionError("c1_in_channels", "is " + std::to_string(*options.c1_in_channels) +
                                              ", but the backbone's first map has " +
                                              std::to_string(finest) + "; leave the key out");
    }
    c1_bottleneck_ =
        register_module("c1_bottleneck",
                        std::make_shared<ConvModule>(ConvShape{finest, options.c1_channels}, norm));
    mix.in_channels += options.c1_channels;
  }
  auto& mixes = *register_module("sep_bottleneck", std::make_shared<torch::nn::Module>());
  first_mix_ =
      mixes.register_module("0", std::make_shared<DepthwiseSeparableConvModule>(mix, norm));
  mix.in_channels = options.channels;
  second_mix_ =
      mixes.register_module("1", std::make_shared<DepthwiseSeparableConvModule>(mix, norm));
  init_convolutions(*this);
}

torch::Tensor DepthwiseSeparableAspp::forward(const Features& features) {
  const auto map = select_one(features);
  auto parts = dilated(map);
  parts.insert(parts.begin(), pooled(map));
  auto x = bottleneck_->forward(at::cat(parts, 1));
  if (c1_bottleneck_) {
    const auto fine = c1_bottleneck_->forward(features.front());
    x = at::cat({resize(x, fine), fine}, 1);
  }
  return embed(second_mix_->forward(first_mix_->forward(x)));
}

}  // namespace dnc
