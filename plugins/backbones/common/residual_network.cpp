#include "plugins/backbones/common/residual_network.h"

#include <torch/nn/init.h>

#include <numeric>
#include <string>

#include "plugins/backbones/common/stages.h"
#include "plugins/backbones/common/stochastic_depth.h"

namespace dnc {

ResidualNetwork::ResidualNetwork(const ResidualLayout& layout)
    : stem_pooling_(layout.stem.pooling), out_stages_(layout.out_stages) {
  check_out_stages(layout.out_stages);
  build_stem(layout.stem, layout.block.norm);
  build_stages(layout);
  init_convolutions(*this);
  if (!layout.zero_init_residual) return;
  for (const auto& stage : stages_) {
    for (const auto& block : stage->blocks()) torch::nn::init::zeros_(block->last_norm().weight());
  }
}

void ResidualNetwork::build_stem(const ResidualLayout::Stem& stem, const NormOptions& norm) {
  if (stem.deep) {
    const int64_t half = stem.channels / 2;
    auto& layers = *register_module("conv1", std::make_shared<torch::nn::Module>());
    const auto add = [&](const std::string& name, const torch::nn::Conv2d& conv) {
      stem_convolutions_.push_back(layers.register_module(name, conv));
    };
    add("0", convolution(3, half, 3, stem.stride));
    stem_norms_.emplace_back(layers, "1", norm, half);
    add("3", convolution(half, half, 3));
    stem_norms_.emplace_back(layers, "4", norm, half);
    add("6", convolution(half, stem.channels, 3));
  } else {
    stem_convolutions_.push_back(
        register_module("conv1", convolution(3, stem.channels, stem.kernel, stem.stride)));
  }
  stem_norms_.emplace_back(*this, "bn1", norm, stem.channels);
}

void ResidualNetwork::build_stages(const ResidualLayout& layout) {
  StageOptions stage;
  stage.block = layout.block;
  stage.block.in_channels = layout.stem.channels;
  stage.recompute = layout.recompute;
  // Of the whole network, whichever stages are built.
  const auto blocks = std::accumulate(layout.blocks.begin(), layout.blocks.end(), int64_t{0});
  int64_t block = 0;
  int64_t stride = layout.stem.stride * (layout.stem.pooling ? 2 : 1);
  for (int64_t i = 0; i <= layout.out_stages.back(); ++i) {
    stage.blocks = layout.blocks.at(i);
    stage.dilation = layout.dilations.at(i);
    stage.block.dilation =
        layout.contract_dilation && stage.dilation > 1 ? stage.dilation / 2 : stage.dilation;
    stage.block.stride = layout.strides.at(i);
    stage.drop_rates.clear();
    for (int64_t j = 0; j < stage.blocks; ++j) {
      stage.drop_rates.push_back(stochastic_depth_rate(block++, blocks, layout.stochastic_depth));
    }
    stages_.push_back(
        register_module("layer" + std::to_string(i + 1), std::make_shared<ResidualStage>(stage)));
    stride *= stage.block.stride;
    if (i == out_stages_[shapes_.size()]) shapes_.push_back({stage.block.out_channels, stride});
    stage.block.in_channels = stage.block.out_channels;
    stage.block.out_channels *= 2;
    stage.block.width *= 2;
  }
}

Features ResidualNetwork::forward(const torch::Tensor& images) {
  auto x = images;
  for (size_t i = 0; i < stem_convolutions_.size(); ++i) {
    x = stem_norms_[i](stem_convolutions_[i](x)).relu_();
  }
  if (stem_pooling_) x = torch::max_pool2d(x, 3, /*stride=*/2, /*padding=*/1);
  Features maps;
  for (size_t i = 0; i < stages_.size(); ++i) {
    x = stages_[i]->forward(x);
    if (static_cast<int64_t>(i) == out_stages_[maps.size()]) maps.push_back(x);
  }
  return maps;
}

}  // namespace dnc
