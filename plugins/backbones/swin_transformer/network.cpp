#include "plugins/backbones/swin_transformer/network.h"

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

constexpr int64_t kPatch = 4;
constexpr int64_t kStages = 4;
constexpr int64_t kLastStage = kStages - 1;

// Fills in what the size says and nothing else did.
SwinTransformer::Options complete(SwinTransformer::Options options) {
  check_one_per_stage("depths", options.depths, kStages);
  check_one_per_stage("heads", options.heads, kStages);
  using Size = SwinTransformer::Size;
  const bool tiny = options.size == Size::kTiny;
  int64_t dims = 96, heads = 3;
  if (options.size == Size::kBase) dims = 128, heads = 4;
  if (options.size == Size::kLarge) dims = 192, heads = 6;
  if (!options.embed_dims) options.embed_dims = dims;
  if (options.depths.empty()) options.depths = {2, 2, tiny ? 6 : 18, 2};
  if (options.heads.empty()) options.heads = {heads, 2 * heads, 4 * heads, 8 * heads};
  for (int64_t i = 0; i < kStages; ++i) {
    const int64_t channels = *options.embed_dims << i;
    if (channels % options.heads[i] != 0) {
      throw OptionError("heads", "must divide the " + std::to_string(channels) +
                                     " channels of stage " + std::to_string(i) + ", not " +
                                     std::to_string(options.heads[i]));
    }
  }
  return options;
}

// torchvision and timm cut the distribution off at 2, a hundred deviations away.
void init_linears(torch::nn::Module& net) {
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (auto* linear = module->as<torch::nn::Linear>()) {
      torch::nn::init::normal_(linear->weight, 0, 0.02);
      if (linear->bias.defined()) torch::nn::init::zeros_(linear->bias);
    }
  }
}

}  // namespace

void SwinTransformer::Options::fields(Fields& f) {
  f.choice("size", size,
           {{"tiny", Size::kTiny},
            {"small", Size::kSmall},
            {"base", Size::kBase},
            {"large", Size::kLarge}},
           "Channels, blocks and heads of the paper.")
      .alias("arch");
  f("embed_dims", embed_dims, "Channels of the first stage, instead of the size's.")
      .between(1, 4096);
  f("depths", depths, "Blocks of each of the four stages, instead of the size's.").between(1, 256);
  f("heads", heads, "Attention heads of each of the four stages, instead of the size's.")
      .between(1, 1024)
      .alias("num_heads");
  f("window", window, "Side of a window in patches.").between(1, 64).alias("window_size");
  f("shift_single_window", shift_single_window,
    "Shift windows also where the map is a single window, as mmseg and the authors' segmentation "
    "code do. Off as in torchvision, timm and mmcls.");
  f("stochastic_depth", stochastic_depth,
    "Share of samples that skip the last block in training, less for earlier blocks. mmcls takes "
    "0.2, 0.3 and 0.5 for tiny, small and base.")
      .at_least(0)
      .below(1)
      .alias("drop_path_rate");
  f("out_stages", out_stages,
    "Stages whose maps are returned, 0 to 3, fine to coarse; those after the last are not built.")
      .between(0, kLastStage)
      .length(1, 4)
      .alias("out_indices");
  f("norm_each", norm_each,
    "Every map goes through a norm of its own, as in mmseg, not only that of the last stage.");
  f("frozen_stages", frozen_stages,
    "What does not learn: -1 nothing, 0 the patch embedding, 1 to 4 it and as many stages, each "
    "with the merging after it and its norm, as in mmseg (mmcls counts one less).")
      .between(-1, kStages);
  checkpoint_field(f, checkpoint_blocks);
}

SwinTransformer::SwinTransformer(const Options& options)
    : out_stages_(options.out_stages), frozen_stages_(options.frozen_stages) {
  check_out_stages(options.out_stages);
  const auto complete_options = complete(options);
  embed_dims_ = *complete_options.embed_dims;
  build_stages(complete_options);
  for (const auto stage : out_stages_) {
    torch::nn::LayerNorm norm{nullptr};
    if (stage == kLastStage || options.norm_each) {
      std::string name = "norm";
      if (stage != kLastStage) name += std::to_string(stage);
      norm = register_module(
          name, torch::nn::LayerNorm(torch::nn::LayerNormOptions({embed_dims_ << stage})));
    }
    norms_.push_back(norm);
  }
  init_linears(*this);
  freeze_parts();
}

void SwinTransformer::train(bool on) {
  Backbone::train(on);
  freeze_parts();
}

void SwinTransformer::freeze_parts() {
  if (frozen_stages_ < 0) return;
  freeze(*patches_);
  freeze(*patch_norm_);
  for (int64_t i = 0; i < std::min<int64_t>(frozen_stages_, std::ssize(stages_)); ++i) {
    freeze(*stages_[i]);
    if (i < std::ssize(mergings_)) freeze(*mergings_[i]);
  }
  for (size_t i = 0; i < norms_.size(); ++i) {
    if (norms_[i] && out_stages_[i] < frozen_stages_) freeze(*norms_[i]);
  }
}

void SwinTransformer::build_stages(const Options& options) {
  auto& features = *register_module("features", std::make_shared<torch::nn::Module>());
  auto& embedding = *features.register_module("0", std::make_shared<torch::nn::Module>());
  patches_ = embedding.register_module(
      "0", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, embed_dims_, kPatch).stride(kPatch)));
  patch_norm_ = embedding.register_module(
      "2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({embed_dims_})));

  const int64_t blocks = std::accumulate(options.depths.begin(), options.depths.end(), int64_t{0});
  int64_t block = 0;
  for (int64_t i = 0; i <= out_stages_.back(); ++i) {
    SwinStageOptions stage;
    stage.channels = embed_dims_ << i;
    stage.heads = options.heads[i];
    stage.side = options.window;
    stage.recompute = options.checkpoint_blocks;
    if (options.shift_single_window) stage.shift = WindowLayout::Shift::kAlways;
    for (int64_t j = 0; j < options.depths[i]; ++j) {
      stage.drop_rates.push_back(stochastic_depth_rate(block++, blocks, options.stochastic_depth));
    }
    if (i > 0) {
      mergings_.push_back(features.register_module(
          std::to_string(2 * i), std::make_shared<PatchMerging>(stage.channels / 2)));
    }
    stages_.push_back(
        features.register_module(std::to_string(2 * i + 1), std::make_shared<SwinStage>(stage)));
  }
}

Features SwinTransformer::forward(const torch::Tensor& images) {
  auto x = patch_norm_(patches_(pad_to_multiple(images, kPatch)).permute({0, 2, 3, 1}));
  Features maps;
  for (size_t i = 0; i < stages_.size(); ++i) {
    if (i > 0) x = mergings_[i - 1]->forward(x);
    x = stages_[i]->forward(x);
    if (static_cast<int64_t>(i) != out_stages_[maps.size()]) continue;
    auto norm = norms_[maps.size()];
    maps.push_back((norm ? norm(x) : x).permute({0, 3, 1, 2}));
  }
  return maps;
}

std::vector<FeatureShape> SwinTransformer::shapes() const {
  std::vector<FeatureShape> shapes;
  for (const auto stage : out_stages_) shapes.push_back({embed_dims_ << stage, kPatch << stage});
  return shapes;
}

}  // namespace dnc
