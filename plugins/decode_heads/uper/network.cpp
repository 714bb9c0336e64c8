#include "plugins/decode_heads/uper/network.h"

#include <ATen/ops/cat.h>

#include <string>

#include "plugins/backbones/common/residual_block.h"

namespace dnc {

void UPer::Options::fields(Fields& f) {
  f("pool_scales", pool_scales, "The last map is seen as s x s parts, for each of these s.")
      .between(1, 1024)
      .length(1, 16);
  PixelHeadOptions::fields(f);
}

UPer::UPer(const Options& options, const Context& context)
    : PixelHead(options, context, Takes::kSeveralMaps) {
  const auto& norm = this->norm();
  const int64_t channels = options.channels;
  pooling_ = register_module("psp_modules", std::make_shared<PyramidPooling>(
                                                in_channels().back(), channels, options.pool_scales,
                                                norm, options.align_corners));
  bottleneck_ = register_module(
      "bottleneck",
      std::make_shared<ConvModule>(ConvShape{pooling_->out_channels(), channels, 3}, norm));
  auto& laterals = *register_module("lateral_convs", std::make_shared<torch::nn::Module>());
  auto& fpn = *register_module("fpn_convs", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i + 1 < in_channels().size(); ++i) {
    const auto name = std::to_string(i);
    lateral_convs_.push_back(laterals.register_module(
        name, std::make_shared<ConvModule>(ConvShape{in_channels()[i], channels}, norm)));
    fpn_convs_.push_back(fpn.register_module(
        name, std::make_shared<ConvModule>(ConvShape{channels, channels, 3}, norm)));
  }
  const ConvShape all{std::ssize(in_channels()) * channels, channels, 3};
  fpn_bottleneck_ = register_module("fpn_bottleneck", std::make_shared<ConvModule>(all, norm));
  init_convolutions(*this);
}

torch::Tensor UPer::forward(const Features& features) {
  const auto maps = select(features);
  const auto coarsest = bottleneck_->forward(pooling_->forward(maps.back()));
  std::vector<torch::Tensor> levels(maps.size());
  levels.back() = coarsest;
  auto above = coarsest;
  for (size_t i = maps.size() - 1; i-- > 0;) {
    const auto lateral = lateral_convs_[i]->forward(maps[i]);
    above = lateral + resize(above, lateral);
    levels[i] = fpn_convs_[i]->forward(above);
  }
  for (auto& level : levels) level = resize(level, levels.front());
  return embed(fpn_bottleneck_->forward(at::cat(levels, 1)));
}

}  // namespace dnc
