#include "plugins/backbones/common/residual_block.h"

#include <torch/nn/init.h>

#include <string>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stochastic_depth.h"

namespace dnc {

torch::nn::Conv2d convolution(int64_t in_channels, int64_t out_channels, int64_t kernel,
                              int64_t stride, int64_t dilation, int64_t groups) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, kernel)
                               .stride(stride)
                               .padding(kernel / 2 * dilation)
                               .dilation(dilation)
                               .groups(groups)
                               .bias(false));
}

void ResidualBlock::add_shortcut() {
  const int64_t in_channels = options_.in_channels, out_channels = options_.out_channels;
  const bool changes = options_.stride != 1 || in_channels != out_channels;
  if (!changes || options_.shortcut == Shortcut::kIdentity) return;
  // The pooling counts as 0; it has no parameters.
  const bool pools = options_.shortcut == Shortcut::kPooling;
  auto& layers = *register_module("downsample", std::make_shared<torch::nn::Module>());
  projection_ = layers.register_module(
      pools ? "1" : "0", convolution(in_channels, out_channels, 1, pools ? 1 : options_.stride));
  projection_norm_ = Norm(layers, pools ? "2" : "1", options_.norm, out_channels);
}

torch::Tensor ResidualBlock::shortcut(const torch::Tensor& x) {
  const int64_t stride = options_.stride;
  if (projection_) {
    const bool pools = options_.shortcut == Shortcut::kPooling && stride != 1;
    return projection_norm_(
        projection_(pools ? torch::avg_pool2d(x, stride, stride, /*padding=*/0, /*ceil_mode=*/true,
                                              /*count_include_pad=*/false)
                          : x));
  }
  torch::Tensor out = x;
  if (stride != 1) {
    out = out.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride);
  }
  if (const int64_t zeros = options_.out_channels - options_.in_channels; zeros != 0) {
    // Half on each side, as the published CIFAR weights of pytorch_resnet_cifar10 expect.
    out = torch::constant_pad_nd(out, {0, 0, 0, 0, zeros / 2, zeros - zeros / 2});
  }
  return out;
}

torch::Tensor ResidualBlock::forward(const torch::Tensor& x) {
  auto out = stochastic_depth(residual(x), options_.drop_rate, is_training());
  out += shortcut(x);
  return out.relu_();
}

BasicBlock::BasicBlock(const BlockOptions& options)
    : ResidualBlock(options),
      conv1_(register_module("conv1", convolution(options.in_channels, options.width, 3,
                                                  options.stride, options.dilation))),
      bn1_(*this, "bn1", options.norm, options.width),
      conv2_(register_module("conv2", convolution(options.width, options.out_channels, 3))),
      bn2_(*this, "bn2", options.norm, options.out_channels) {
  add_shortcut();
}

torch::Tensor BasicBlock::residual(const torch::Tensor& x) {
  const auto out = bn1_(conv1_(x)).relu_();
  return bn2_(conv2_(out));
}

Bottleneck::Bottleneck(const BlockOptions& options)
    : ResidualBlock(options),
      conv1_(register_module(
          "conv1", convolution(options.in_channels, options.width, 1,
                               options.stride_in == StrideIn::kFirst ? options.stride : 1))),
      bn1_(*this, "bn1", options.norm, options.width),
      conv2_(register_module(
          "conv2", convolution(options.width, options.width, 3,
                               options.stride_in == StrideIn::kMiddle ? options.stride : 1,
                               options.dilation, options.groups))),
      bn2_(*this, "bn2", options.norm, options.width),
      conv3_(register_module("conv3", convolution(options.width, options.out_channels, 1))),
      bn3_(*this, "bn3", options.norm, options.out_channels) {
  add_shortcut();
}

torch::Tensor Bottleneck::residual(const torch::Tensor& x) {
  auto out = bn1_(conv1_(x)).relu_();
  out = bn2_(conv2_(out)).relu_();
  return bn3_(conv3_(out));
}

ResidualStage::ResidualStage(const StageOptions& options) : recompute_(options.recompute) {
  auto block_options = options.block;
  for (int64_t i = 0; i < options.blocks; ++i) {
    if (!options.drop_rates.empty()) block_options.drop_rate = options.drop_rates.at(i);
    std::shared_ptr<ResidualBlock> block;
    if (block_options.bottleneck) {
      block = std::make_shared<Bottleneck>(block_options);
    } else {
      block = std::make_shared<BasicBlock>(block_options);
    }
    blocks_.push_back(register_module(std::to_string(i), block));
    block_options.in_channels = block_options.out_channels;
    block_options.stride = 1;
    block_options.dilation = options.dilation;
  }
}

torch::Tensor ResidualStage::forward(torch::Tensor x) {
  for (const auto& block : blocks_) x = forward_block(block, recompute_, x);
  return x;
}

void init_convolutions(torch::nn::Module& net) {
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (const auto* conv = module->as<torch::nn::Conv2d>()) {
      torch::nn::init::kaiming_normal_(conv->weight, 0, torch::kFanOut, torch::kReLU);
    }
  }
}

}  // namespace dnc
