#include "plugins/backbones/mix_vision_transformer/network.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/nn/init.h>

#include <cmath>
#include <numeric>
#include <string>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stages.h"
#include "plugins/backbones/common/stochastic_depth.h"
#include "plugins/backbones/common/transformer.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kStages = 4;
constexpr int64_t kLastStage = kStages - 1;
constexpr int64_t kFirstStride = 4;

torch::nn::LayerNorm layer_norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-6));
}

torch::Tensor channels_first(const torch::Tensor& map) { return map.permute({0, 3, 1, 2}); }
torch::Tensor channels_last(const torch::Tensor& map) { return map.permute({0, 2, 3, 1}); }

// A 1x1 convolution as the product of matrices that it is; [N, H, W, C] to [N, H, W, D].
torch::Tensor pointwise(const torch::nn::Conv2d& conv, const torch::Tensor& map) {
  return at::linear(map, conv->weight.flatten(1), conv->bias);
}

// The authors cut the normal distribution of linear layers off at 2, a hundred deviations away.
void init(torch::nn::Module& net) {
  for (const auto& module : net.modules(/*include_self=*/false)) {
    if (auto* linear = module->as<torch::nn::Linear>()) {
      torch::nn::init::normal_(linear->weight, 0, 0.02);
      torch::nn::init::zeros_(linear->bias);
    } else if (auto* conv = module->as<torch::nn::Conv2d>()) {
      const auto& weight = conv->weight;
      const int64_t groups = conv->options.groups();
      const auto fan_out = static_cast<double>(weight.numel() / weight.size(1) / groups);
      torch::nn::init::normal_(weight, 0, std::sqrt(2 / fan_out));
      torch::nn::init::zeros_(conv->bias);
    }
  }
}

}  // namespace

ReducedAttention::ReducedAttention(int64_t channels, int64_t heads, int64_t reduction)
    : heads_(heads) {
  auto& attention = *register_module("attn", std::make_shared<torch::nn::Module>());
  in_proj_weight_ =
      attention.register_parameter("in_proj_weight", torch::randn({3 * channels, channels}) * 0.02);
  in_proj_bias_ = attention.register_parameter("in_proj_bias", torch::zeros({3 * channels}));
  out_proj_ = attention.register_module("out_proj", torch::nn::Linear(channels, channels));
  if (reduction == 1) return;
  reduction_ = register_module(
      "sr",
      torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, channels, reduction).stride(reduction)));
  norm_ = register_module("norm", layer_norm(channels));
}

torch::Tensor ReducedAttention::forward(const torch::Tensor& map) {
  const auto positions = map.flatten(1, 2);
  auto others = positions;
  if (reduction_) {
    others = norm_(channels_last(reduction_(channels_first(map))).flatten(1, 2));
  }
  const int64_t channels = map.size(3);
  const auto project = [&](const torch::Tensor& x, int64_t begin, int64_t count) {
    // [N, L, count * C] to `count` of [N, heads, L, C / heads]
    return at::linear(x, in_proj_weight_.narrow(0, begin * channels, count * channels),
                      in_proj_bias_.narrow(0, begin * channels, count * channels))
        .unflatten(2, {count, heads_, -1})
        .permute({2, 0, 3, 1, 4})
        .unbind(0);
  };
  const auto queries = project(positions, 0, 1);
  const auto keys_values = project(others, 1, 2);
  const auto out = at::scaled_dot_product_attention(queries[0], keys_values[0], keys_values[1]);
  return out_proj_(join_heads(out)).view_as(map);
}

MixFeedForward::MixFeedForward(int64_t channels) {
  const int64_t hidden = 4 * channels;
  // The names count the activation and the dropout between the layers.
  auto& layers = *register_module("layers", std::make_shared<torch::nn::Module>());
  first_ = layers.register_module("0", torch::nn::Conv2d(channels, hidden, 1));
  positions_ = layers.register_module(
      "1",
      torch::nn::Conv2d(torch::nn::Conv2dOptions(hidden, hidden, 3).padding(1).groups(hidden)));
  second_ = layers.register_module("4", torch::nn::Conv2d(hidden, channels, 1));
}

torch::Tensor MixFeedForward::forward(const torch::Tensor& map) {
  const auto hidden = channels_last(positions_(channels_first(pointwise(first_, map))));
  return pointwise(second_, at::gelu(hidden));
}

MixBlock::MixBlock(int64_t channels, int64_t heads, int64_t reduction, double drop_rate)
    : drop_rate_(drop_rate),
      norm1_(register_module("norm1", layer_norm(channels))),
      attention_(
          register_module("attn", std::make_shared<ReducedAttention>(channels, heads, reduction))),
      norm2_(register_module("norm2", layer_norm(channels))),
      feed_forward_(register_module("ffn", std::make_shared<MixFeedForward>(channels))) {}

torch::Tensor MixBlock::forward(const torch::Tensor& map) {
  const auto drop = [this](const torch::Tensor& x) {
    return stochastic_depth(x, drop_rate_, is_training());
  };
  const auto x = map + drop(attention_->forward(norm1_(map)));
  return x + drop(feed_forward_->forward(norm2_(x)));
}

void MixVisionTransformer::Options::fields(Fields& f) {
  f.choice("size", size,
           {{"b0", Size::kB0},
            {"b1", Size::kB1},
            {"b2", Size::kB2},
            {"b3", Size::kB3},
            {"b4", Size::kB4},
            {"b5", Size::kB5}},
           "Channels and blocks of the paper.")
      .alias("arch");
  f("embed_dims", embed_dims, "Channels of a head, instead of the size's.").between(1, 4096);
  f("depths", depths, "Blocks of each of the four stages, instead of the size's.")
      .between(1, 256)
      .alias("num_layers");
  f("heads", heads, "Attention heads of each of the four stages, each of embed_dims channels.")
      .between(1, 256)
      .length(4, 4)
      .alias("num_heads");
  f("reductions", reductions,
    "How many times smaller, each way, the map of keys and values is in each of the four stages.")
      .between(1, 64)
      .length(4, 4)
      .alias("sr_ratios");
  f("stochastic_depth", stochastic_depth,
    "Share of samples that skip the last block in training, less for earlier blocks.")
      .at_least(0)
      .below(1)
      .alias("drop_path_rate");
  f("out_stages", out_stages,
    "Stages whose maps are returned, 0 to 3, fine to coarse; those after the last are not built.")
      .between(0, kLastStage)
      .length(1, 4)
      .alias("out_indices");
  checkpoint_field(f, checkpoint_blocks);
}

MixVisionTransformer::MixVisionTransformer(const Options& options)
    : out_stages_(options.out_stages), recompute_(options.checkpoint_blocks) {
  check_out_stages(options.out_stages);
  check_one_per_stage("depths", options.depths, kStages);
  static const std::vector<int64_t> kDepths[] = {{2, 2, 2, 2},  {2, 2, 2, 2},  {3, 4, 6, 3},
                                                 {3, 4, 18, 3}, {3, 8, 27, 3}, {3, 6, 40, 3}};
  auto complete = options;
  if (options.depths.empty()) complete.depths = kDepths[static_cast<size_t>(options.size)];
  if (!options.embed_dims) complete.embed_dims = options.size == Size::kB0 ? 32 : 64;
  const auto& depths = complete.depths;
  const int64_t blocks = std::accumulate(depths.begin(), depths.end(), int64_t{0});
  int64_t block = 0;
  register_module("layers", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i <= out_stages_.back(); ++i) {
    build_stage(complete, i, block, blocks);
    block += depths[i];
  }
  init(*this);
}

void MixVisionTransformer::build_stage(const Options& options, int64_t index, int64_t first_block,
                                       int64_t all_blocks) {
  Stage stage;
  const int64_t in_channels = index == 0 ? 3 : stages_.back().channels;
  const int64_t kernel = index == 0 ? 7 : 3;
  const int64_t heads = options.heads[index];
  stage.channels = *options.embed_dims * heads;
  stage.reduction = options.reductions[index];
  auto& parts = *named_children()["layers"]->register_module(std::to_string(index),
                                                             std::make_shared<torch::nn::Module>());
  auto& embedding = *parts.register_module("0", std::make_shared<torch::nn::Module>());
  stage.patches = embedding.register_module(
      "projection", torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, stage.channels, kernel)
                                          .stride(index == 0 ? kFirstStride : 2)
                                          .padding(kernel / 2)));
  stage.patch_norm = embedding.register_module("norm", layer_norm(stage.channels));
  auto& blocks = *parts.register_module("1", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < options.depths[index]; ++i) {
    const double rate =
        stochastic_depth_rate(first_block + i, all_blocks, options.stochastic_depth);
    stage.blocks.push_back(blocks.register_module(
        std::to_string(i),
        std::make_shared<MixBlock>(stage.channels, heads, stage.reduction, rate)));
  }
  stage.norm = parts.register_module("2", layer_norm(stage.channels));
  stages_.push_back(std::move(stage));
}

Features MixVisionTransformer::forward(const torch::Tensor& images) {
  auto x = images;
  Features maps;
  for (size_t i = 0; i < stages_.size(); ++i) {
    auto& stage = stages_[i];
    auto map = stage.patch_norm(channels_last(stage.patches(x)));
    if (map.size(1) < stage.reduction || map.size(2) < stage.reduction) {
      throw Error("MixVisionTransformer: images of " + std::to_string(images.size(2)) + "x" +
                  std::to_string(images.size(3)) + " pixels are too small: stage " +
                  std::to_string(i) + " needs a map of " + std::to_string(stage.reduction) +
                  " pixels each way. Make them larger, or set reductions");
    }
    for (const auto& block : stage.blocks) map = forward_block(block, recompute_, map);
    x = channels_first(stage.norm(map));
    if (static_cast<int64_t>(i) == out_stages_[maps.size()]) maps.push_back(x);
  }
  return maps;
}

std::vector<FeatureShape> MixVisionTransformer::shapes() const {
  std::vector<FeatureShape> shapes;
  for (const auto stage : out_stages_) {
    shapes.push_back({stages_[stage].channels, kFirstStride << stage});
  }
  return shapes;
}

}  // namespace dnc
