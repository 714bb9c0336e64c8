#include "plugins/backbones/common/residual_network.h"

#include <torch/nn/init.h>

#include <string>

#include "plugins/backbones/common/stages.h"

namespace dnc {

ResidualNetwork::ResidualNetwork(const ResidualLayout& layout) : layout_(layout) {
  check_out_stages(layout.out_stages);
  auto block = layout.block;
  block.in_channels = block.width;
  conv1_ =
      register_module("conv1", convolution(3, block.width, layout.stem_kernel, layout.stem_stride));
  bn1_ = register_module("bn1", Norm(block.width));
  for (int64_t i = 0; i <= layout.out_stages.back(); ++i) {
    stages_.push_back(register_module("layer" + std::to_string(i + 1),
                                      std::make_shared<ResidualStage>(block, layout.blocks.at(i))));
    block.in_channels = stages_.back()->out_channels();
    block.width *= 2;
    block.stride = 2;
  }
  init_convolutions(*this);
  if (!layout.zero_init_residual) return;
  for (const auto& stage : stages_) {
    for (const auto& each : stage->blocks()) torch::nn::init::zeros_(each->last_norm()->weight);
  }
}

Features ResidualNetwork::forward(const torch::Tensor& images) {
  auto x = bn1_(conv1_(images)).relu_();
  if (layout_.stem_pooling) x = torch::max_pool2d(x, 3, /*stride=*/2, /*padding=*/1);
  Features maps;
  for (size_t i = 0; i < stages_.size(); ++i) {
    x = stages_[i]->forward(x);
    if (static_cast<int64_t>(i) == layout_.out_stages[maps.size()]) maps.push_back(x);
  }
  return maps;
}

std::vector<FeatureShape> ResidualNetwork::shapes() const {
  std::vector<FeatureShape> shapes;
  const int64_t stem_stride = layout_.stem_stride * (layout_.stem_pooling ? 2 : 1);
  for (const auto stage : layout_.out_stages) {
    shapes.push_back({stages_[stage]->out_channels(), stem_stride << stage});
  }
  return shapes;
}

}  // namespace dnc
