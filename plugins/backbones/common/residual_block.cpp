#include "plugins/backbones/common/residual_block.h"

#include <torch/nn/init.h>
#include <torch/nn/modules/container/sequential.h>

#include <string>

namespace dnc {

torch::nn::Conv2d convolution(int64_t in_channels, int64_t out_channels, int64_t kernel,
                              int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, kernel)
                               .stride(stride)
                               .padding(kernel / 2)
                               .bias(false));
}

ResidualBlock::ResidualBlock(const BlockOptions& options, int64_t out_channels)
    : options_(options), out_channels_(out_channels) {}

void ResidualBlock::add_shortcut() {
  const bool changes = options_.stride != 1 || options_.in_channels != out_channels_;
  if (!changes || options_.shortcut == Shortcut::kIdentity) return;
  projection_ = convolution(options_.in_channels, out_channels_, 1, options_.stride);
  projection_norm_ = Norm(out_channels_);
  register_module("downsample", torch::nn::Sequential(projection_, projection_norm_));
}

torch::Tensor ResidualBlock::shortcut(const torch::Tensor& x) {
  if (projection_) return projection_norm_(projection_(x));
  torch::Tensor out = x;
  if (options_.stride != 1) {
    out = out.slice(2, 0, std::nullopt, options_.stride).slice(3, 0, std::nullopt, options_.stride);
  }
  if (const int64_t zeros = out_channels_ - options_.in_channels; zeros != 0) {
    // Half on each side, as the published CIFAR weights of pytorch_resnet_cifar10 expect.
    out = torch::constant_pad_nd(out, {0, 0, 0, 0, zeros / 2, zeros - zeros / 2});
  }
  return out;
}

torch::Tensor ResidualBlock::forward(const torch::Tensor& x) {
  auto out = residual(x);
  out += shortcut(x);
  return out.relu_();
}

BasicBlock::BasicBlock(const BlockOptions& options)
    : ResidualBlock(options, options.width),
      conv1_(register_module("conv1",
                             convolution(options.in_channels, options.width, 3, options.stride))),
      bn1_(register_module("bn1", Norm(options.width))),
      conv2_(register_module("conv2", convolution(options.width, options.width, 3))),
      bn2_(register_module("bn2", Norm(options.width))) {
  add_shortcut();
}

torch::Tensor BasicBlock::residual(const torch::Tensor& x) {
  const auto out = bn1_(conv1_(x)).relu_();
  return bn2_(conv2_(out));
}

Bottleneck::Bottleneck(const BlockOptions& options)
    : ResidualBlock(options, 4 * options.width),
      conv1_(register_module("conv1", convolution(options.in_channels, options.width, 1))),
      bn1_(register_module("bn1", Norm(options.width))),
      conv2_(
          register_module("conv2", convolution(options.width, options.width, 3, options.stride))),
      bn2_(register_module("bn2", Norm(options.width))),
      conv3_(register_module("conv3", convolution(options.width, 4 * options.width, 1))),
      bn3_(register_module("bn3", Norm(4 * options.width))) {
  add_shortcut();
}

torch::Tensor Bottleneck::residual(const torch::Tensor& x) {
  auto out = bn1_(conv1_(x)).relu_();
  out = bn2_(conv2_(out)).relu_();
  return bn3_(conv3_(out));
}

ResidualStage::ResidualStage(BlockOptions options, int64_t blocks) {
  for (int64_t i = 0; i < blocks; ++i) {
    std::shared_ptr<ResidualBlock> block;
    if (options.bottleneck) {
      block = std::make_shared<Bottleneck>(options);
    } else {
      block = std::make_shared<BasicBlock>(options);
    }
    blocks_.push_back(register_module(std::to_string(i), block));
    options.in_channels = block->out_channels();
    options.stride = 1;
  }
}

torch::Tensor ResidualStage::forward(torch::Tensor x) {
  for (const auto& block : blocks_) x = block->forward(x);
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
