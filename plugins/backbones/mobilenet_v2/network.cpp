#include "plugins/backbones/mobilenet_v2/network.h"

#include <algorithm>
#include <memory>

#include "plugins/backbones/common/residual_block.h"
#include "plugins/backbones/common/stages.h"

namespace dnc {
namespace {

struct Stage {
  int64_t expansion, channels, blocks, stride;
};

// Stages 0 to 6; stage 7 is the last convolution.
constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                             {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
constexpr int64_t kStemChannels = 32;
constexpr int64_t kLastChannels = 1280;

// The nearest multiple of 8, but never less than nine tenths of the value.
int64_t to_multiple_of_8(double channels) {
  const int64_t nearest = std::max<int64_t>(8, static_cast<int64_t>(channels + 4) / 8 * 8);
  return static_cast<double>(nearest) < 0.9 * channels ? nearest + 8 : nearest;
}

torch::nn::Conv2dOptions conv_options(int64_t in_channels, int64_t out_channels, int64_t kernel) {
  return torch::nn::Conv2dOptions(in_channels, out_channels, kernel)
      .padding(kernel / 2)
      .bias(false);
}

/// relu6(norm(convolution(x))).
class ConvNormRelu6 final : public torch::nn::Module {
 public:
  explicit ConvNormRelu6(const torch::nn::Conv2dOptions& options)
      : conv_(register_module("0", torch::nn::Conv2d(options))),
        norm_(register_module("1", torch::nn::BatchNorm2d(options.out_channels()))) {}
  torch::Tensor forward(const torch::Tensor& x) {
    auto out = norm_(conv_(x));
    return torch::relu6_(out);
  }

 private:
  torch::nn::Conv2d conv_;
  torch::nn::BatchNorm2d norm_;
};

/// 1x1 to the hidden channels (not where there are no more than before), 3x3 in each channel by
/// itself, and 1x1 to `out_channels` without activation; the input is added where it fits.
class InvertedResidual final : public torch::nn::Module {
 public:
  InvertedResidual(int64_t in_channels, int64_t out_channels, int64_t expansion, int64_t stride)
      : adds_input_(stride == 1 && in_channels == out_channels) {
    const int64_t hidden = in_channels * expansion;
    if (expansion != 1) {
      layers_->push_back(std::make_shared<ConvNormRelu6>(conv_options(in_channels, hidden, 1)));
    }
    layers_->push_back(std::make_shared<ConvNormRelu6>(
        conv_options(hidden, hidden, 3).stride(stride).groups(hidden)));
    layers_->push_back(convolution(hidden, out_channels, 1));
    layers_->push_back(torch::nn::BatchNorm2d(out_channels));
    register_module("conv", layers_);
  }

  torch::Tensor forward(const torch::Tensor& x) {
    auto out = layers_->forward(x);
    if (adds_input_) out += x;
    return out;
  }

 private:
  bool adds_input_;
  torch::nn::Sequential layers_;
};

}  // namespace

void MobileNetV2::Options::fields(Fields& f) {
  f("width_multiplier", width_multiplier, "Times the channels of each layer.")
      .above(0)
      .at_most(16)
      .alias("widen_factor");
  f("out_stages", out_stages,
    "Stages whose maps are returned, 0 to 7, fine to coarse; those after the last are not built.")
      .between(0, 7)
      .length(1, 8)
      .alias("out_indices");
}

MobileNetV2::MobileNetV2(const Options& options) {
  check_out_stages(options.out_stages);
  const auto scaled = [&](int64_t channels) {
    return to_multiple_of_8(static_cast<double>(channels) * options.width_multiplier);
  };
  FeatureShape shape = {scaled(kStemChannels), 2};
  features_->push_back(
      std::make_shared<ConvNormRelu6>(conv_options(3, shape.channels, 3).stride(2)));
  for (int64_t i = 0; i <= options.out_stages.back(); ++i) {
    if (i < std::ssize(kStages)) {
      const auto& stage = kStages[i];
      for (int64_t block = 0; block < stage.blocks; ++block) {
        const int64_t stride = block == 0 ? stage.stride : 1;
        const int64_t out = scaled(stage.channels);
        features_->push_back(
            std::make_shared<InvertedResidual>(shape.channels, out, stage.expansion, stride));
        shape = {out, shape.stride * stride};
      }
    } else {
      const int64_t out = std::max(kLastChannels, scaled(kLastChannels));
      features_->push_back(std::make_shared<ConvNormRelu6>(conv_options(shape.channels, out, 1)));
      shape.channels = out;
    }
    if (i == options.out_stages[ends_.size()]) {
      ends_.push_back(features_->size() - 1);
      shapes_.push_back(shape);
    }
  }
  register_module("features", features_);
  init_convolutions(*this);
}

Features MobileNetV2::forward(const torch::Tensor& images) {
  Features maps;
  auto x = images;
  size_t index = 0;
  for (auto& feature : *features_) {
    x = feature.forward(x);
    if (index++ == ends_[maps.size()]) maps.push_back(x);
  }
  return maps;
}

}  // namespace dnc
