#include "plugins/backbones/convnext/network.h"

#include <torch/nn/init.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stages.h"
#include "plugins/backbones/common/stochastic_depth.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kStages = 4;
constexpr int64_t kLastStage = kStages - 1;
constexpr int64_t kStemStride = 4;

torch::nn::LayerNorm layer_norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-6));
}

torch::Tensor norm_channels(torch::nn::LayerNorm norm, const torch::Tensor& x) {
  return norm(x.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

// torchvision cuts the distribution off at 2, a hundred deviations away.
void init(torch::nn::Module& net) {
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (auto* linear = module->as<torch::nn::Linear>()) {
      torch::nn::init::normal_(linear->weight, 0, 0.02);
      torch::nn::init::zeros_(linear->bias);
    } else if (auto* conv = module->as<torch::nn::Conv2d>()) {
      torch::nn::init::normal_(conv->weight, 0, 0.02);
      torch::nn::init::zeros_(conv->bias);
    }
  }
}

}  // namespace

// The names count the activation and the changes of layout between the layers, as torchvision's.
ConvNextBlock::ConvNextBlock(int64_t channels, double drop_rate, double layer_scale)
    : drop_rate_(drop_rate),
      layer_scale_(register_parameter("layer_scale", torch::full({channels, 1, 1}, layer_scale))) {
  auto& block = *register_module("block", std::make_shared<torch::nn::Module>());
  conv_ = block.register_module(
      "0", torch::nn::Conv2d(
               torch::nn::Conv2dOptions(channels, channels, 7).padding(3).groups(channels)));
  norm_ = block.register_module("2", layer_norm(channels));
  first_ = block.register_module("3", torch::nn::Linear(channels, 4 * channels));
  second_ = block.register_module("5", torch::nn::Linear(4 * channels, channels));
}

torch::Tensor ConvNextBlock::forward(const torch::Tensor& x) {
  const auto pixels = norm_(conv_(x).permute({0, 2, 3, 1}));
  const auto branch = second_(torch::gelu(first_(pixels))).permute({0, 3, 1, 2});
  return stochastic_depth(layer_scale_ * branch, drop_rate_, is_training()).add_(x);
}

ConvNextDownsampling::ConvNextDownsampling(int64_t in_channels, int64_t out_channels,
                                           int64_t stride, bool norm_first)
    : norm_first_(norm_first) {
  if (norm_first) norm_ = register_module("0", layer_norm(in_channels));
  conv_ = register_module(
      norm_first ? "1" : "0",
      torch::nn::Conv2d(
          torch::nn::Conv2dOptions(in_channels, out_channels, stride).stride(stride)));
  if (!norm_first) norm_ = register_module("1", layer_norm(out_channels));
}

torch::Tensor ConvNextDownsampling::forward(const torch::Tensor& x) {
  return norm_first_ ? conv_(norm_channels(norm_, x)) : norm_channels(norm_, conv_(x));
}

void ConvNext::Options::fields(Fields& f) {
  f.choice("size", size,
           {{"tiny", Size::kTiny},
            {"small", Size::kSmall},
            {"base", Size::kBase},
            {"large", Size::kLarge}},
           "Channels and blocks of the paper.")
      .alias("arch");
  f("width", width, "Channels of the first stage, instead of the size's.").between(1, 4096);
  f("depths", depths, "Blocks of each of the four stages, instead of the size's.").between(1, 256);
  f("out_stages", out_stages,
    "Stages whose outputs are returned, 0 to 3, fine to coarse; those after the last are not "
    "built.")
      .between(0, kLastStage)
      .length(1, 4)
      .alias("out_indices");
  f.choice("output", output, {{"pooled", Output::kPooled}, {"map", Output::kMap}},
           "What is returned of a stage: the norm of the map's mean, as a map of one pixel, for "
           "classification (pooled), or the norm of every pixel, for segmentation (map).");
  f("stochastic_depth", stochastic_depth,
    "Share of samples that skip the last block in training, less for earlier blocks. The paper "
    "takes 0.1, 0.4, 0.5 and 0.5 for tiny to large.")
      .at_least(0)
      .below(1)
      .alias("drop_path_rate");
  f("layer_scale", layer_scale, "What the factors of the blocks' results start as.")
      .at_least(0)
      .alias("layer_scale_init_value");
  f("frozen_stages", frozen_stages,
    "What does not learn: -1 nothing, 0 the stem, 1 to 4 it and as many stages.")
      .between(-1, kStages);
  checkpoint_field(f, checkpoint_blocks);
}

ConvNext::ConvNext(const Options& options)
    : out_stages_(options.out_stages),
      frozen_stages_(options.frozen_stages),
      checkpoint_blocks_(options.checkpoint_blocks),
      output_(options.output) {
  check_out_stages(out_stages_);
  check_one_per_stage("depths", options.depths, kStages);
  static constexpr int64_t kWidths[] = {96, 96, 128, 192};
  width_ = options.width.value_or(kWidths[static_cast<size_t>(options.size)]);
  auto depths = options.depths;
  if (depths.empty()) depths = {3, 3, options.size == Size::kTiny ? 9 : 27, 3};
  const int64_t blocks = std::accumulate(depths.begin(), depths.end(), int64_t{0});

  auto& features = *register_module("features", std::make_shared<torch::nn::Module>());
  int64_t block = 0;
  for (int64_t i = 0; i <= out_stages_.back(); ++i) {
    const int64_t channels = width_ << i;
    downsamplings_.push_back(features.register_module(
        std::to_string(2 * i),
        std::make_shared<ConvNextDownsampling>(i == 0 ? 3 : channels / 2, channels,
                                               i == 0 ? kStemStride : 2, /*norm_first=*/i > 0)));
    auto& stage =
        *features.register_module(std::to_string(2 * i + 1), std::make_shared<torch::nn::Module>());
    auto& stage_blocks = stages_.emplace_back();
    for (int64_t j = 0; j < depths[i]; ++j) {
      const double rate = stochastic_depth_rate(block++, blocks, options.stochastic_depth);
      stage_blocks.push_back(stage.register_module(
          std::to_string(j), std::make_shared<ConvNextBlock>(channels, rate, options.layer_scale)));
    }
  }
  for (const auto stage : out_stages_) {
    std::string name = "norm";
    if (stage != kLastStage) name += std::to_string(stage);
    norms_.push_back(register_module(name, layer_norm(width_ << stage)));
  }
  init(*this);
  freeze_parts();
}

void ConvNext::train(bool on) {
  Backbone::train(on);
  freeze_parts();
}

void ConvNext::freeze_parts() {
  if (frozen_stages_ >= 0) freeze(*downsamplings_.front());
  for (int64_t i = 0; i < std::min<int64_t>(frozen_stages_, std::ssize(stages_)); ++i) {
    freeze(*downsamplings_[i]);
    for (const auto& block : stages_[i]) freeze(*block);
  }
}

Features ConvNext::forward(const torch::Tensor& images) {
  const int64_t smallest = kStemStride << out_stages_.back();
  TORCH_CHECK(images.size(2) >= smallest && images.size(3) >= smallest,
              "ConvNeXt: images must have at least ", smallest, " pixels each way, got ",
              images.sizes());
  auto x = images;
  Features outputs;
  for (size_t i = 0; i < stages_.size(); ++i) {
    x = downsamplings_[i]->forward(x);
    for (const auto& block : stages_[i]) x = forward_block(block, checkpoint_blocks_, x);
    if (static_cast<int64_t>(i) != out_stages_[outputs.size()]) continue;
    const auto out = output_ == Output::kPooled ? x.mean({2, 3}, /*keepdim=*/true) : x;
    outputs.push_back(norm_channels(norms_[outputs.size()], out));
  }
  return outputs;
}

std::vector<FeatureShape> ConvNext::shapes() const {
  std::vector<FeatureShape> shapes;
  for (const auto stage : out_stages_) shapes.push_back({width_ << stage, kStemStride << stage});
  return shapes;
}

}  // namespace dnc
