#include "plugins/backbones/vision_transformer/network.h"

#include <torch/nn/functional/upsampling.h>
#include <torch/nn/init.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "plugins/backbones/common/gradient_checkpointing.h"
#include "plugins/backbones/common/stages.h"
#include "plugins/backbones/common/stochastic_depth.h"
#include "registry/error.h"

namespace dnc {
namespace {

struct Shape {
  int64_t channels, depth, heads;
};

// What the size says where the options say nothing else.
Shape shape_of(const VisionTransformer::Options& options) {
  static constexpr Shape kShapes[] = {{192, 12, 3}, {384, 12, 6}, {768, 12, 12}, {1024, 24, 16}};
  auto shape = kShapes[static_cast<size_t>(options.size)];
  shape = {options.embed_dims.value_or(shape.channels), options.depth.value_or(shape.depth),
           options.heads.value_or(shape.heads)};
  if (shape.channels % shape.heads != 0) {
    throw OptionError(options.heads ? "heads" : "embed_dims",
                      "asks for " + std::to_string(shape.channels) + " channels in " +
                          std::to_string(shape.heads) + " heads; the heads must divide them");
  }
  return shape;
}

torch::nn::LayerNorm layer_norm(int64_t channels) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({channels}).eps(1e-6));
}

}  // namespace

SelfAttention::SelfAttention(int64_t channels, int64_t heads)
    : heads_(heads),
      in_proj_weight_(register_parameter("in_proj_weight", torch::empty({3 * channels, channels}))),
      in_proj_bias_(register_parameter("in_proj_bias", torch::zeros({3 * channels}))),
      out_proj_(register_module("out_proj", torch::nn::Linear(channels, channels))) {
  torch::nn::init::xavier_uniform_(in_proj_weight_);
  torch::nn::init::zeros_(out_proj_->bias);
}

torch::Tensor SelfAttention::forward(const torch::Tensor& tokens) {
  const auto qkv = split_heads(torch::linear(tokens, in_proj_weight_, in_proj_bias_), heads_);
  return out_proj_(join_heads(torch::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])));
}

EncoderBlock::EncoderBlock(int64_t channels, int64_t heads, double drop_rate)
    : drop_rate_(drop_rate),
      norm1_(register_module("ln_1", layer_norm(channels))),
      attention_(
          register_module("self_attention", std::make_shared<SelfAttention>(channels, heads))),
      norm2_(register_module("ln_2", layer_norm(channels))),
      mlp_(register_module("mlp", std::make_shared<Mlp>(channels))) {
  for (const auto& linear : {mlp_->first(), mlp_->second()}) {
    torch::nn::init::xavier_uniform_(linear->weight);
    torch::nn::init::normal_(linear->bias, 0, 1e-6);
  }
}

torch::Tensor EncoderBlock::forward(const torch::Tensor& tokens) {
  const auto drop = [this](const torch::Tensor& x) {
    return stochastic_depth(x, drop_rate_, is_training());
  };
  const auto x = tokens + drop(attention_->forward(norm1_(tokens)));
  return x + drop(mlp_->forward(norm2_(x)));
}

void VisionTransformer::Options::fields(Fields& f) {
  f.choice("size", size,
           {{"tiny", Size::kTiny},
            {"small", Size::kSmall},
            {"base", Size::kBase},
            {"large", Size::kLarge}},
           "Channels, blocks and heads: DeiT's tiny and small, ViT's base and large.")
      .alias("arch");
  f("embed_dims", embed_dims, "Channels, instead of the size's.").between(1, 16384);
  f("depth", depth, "Blocks, instead of the size's.").between(1, 256).alias("num_layers");
  f("heads", heads, "Attention heads, instead of the size's.").between(1, 1024).alias("num_heads");
  f("patch", patch, "Side of a patch in pixels.").between(1, 1024).alias("patch_size");
  f("image_size", image_size,
    "Side of the images for which there are position embeddings; for others they are resized.")
      .between(1, 4096)
      .alias("img_size");
  f.choice("output", output, {{"token", Output::kToken}, {"map", Output::kMap}},
           "What is returned: the class token, as a map of one pixel (token), or the patches "
           "(map), whose mean GlobalAveragePooling takes.");
  f("stochastic_depth", stochastic_depth,
    "Share of samples that skip the last block in training, less for earlier blocks. DeiT takes "
    "0.1.")
      .at_least(0)
      .below(1)
      .alias("drop_path_rate");
  f("frozen_stages", frozen_stages,
    "What does not learn: -1 nothing, 0 the embeddings, n they and the first n blocks; with all "
    "blocks, the last norm too.")
      .between(-1, 256);
  checkpoint_field(f, checkpoint_blocks);
}

VisionTransformer::VisionTransformer(const Options& options)
    : options_(options), side_((options.image_size + options.patch - 1) / options.patch) {
  const auto shape = shape_of(options);
  channels_ = shape.channels;
  class_token_ = register_parameter("class_token", torch::zeros({1, 1, channels_}));
  patches_ = register_module(
      "conv_proj",
      torch::nn::Conv2d(
          torch::nn::Conv2dOptions(3, channels_, options.patch).stride(options.patch)));
  const double fan_in = static_cast<double>(patches_->weight[0].numel());
  torch::nn::init::normal_(patches_->weight, 0, std::sqrt(1 / fan_in));
  torch::nn::init::zeros_(patches_->bias);

  auto& encoder = *register_module("encoder", std::make_shared<torch::nn::Module>());
  positions_ = encoder.register_parameter("pos_embedding",
                                          torch::randn({1, 1 + side_ * side_, channels_}) * 0.02);
  auto& layers = *encoder.register_module("layers", std::make_shared<torch::nn::Module>());
  for (int64_t i = 0; i < shape.depth; ++i) {
    const double rate = stochastic_depth_rate(i, shape.depth, options.stochastic_depth);
    blocks_.push_back(
        layers.register_module("encoder_layer_" + std::to_string(i),
                               std::make_shared<EncoderBlock>(channels_, shape.heads, rate)));
  }
  norm_ = encoder.register_module("ln", layer_norm(channels_));
  freeze_parts();
}

void VisionTransformer::train(bool on) {
  Backbone::train(on);
  freeze_parts();
}

void VisionTransformer::freeze_parts() {
  if (options_.frozen_stages < 0) return;
  class_token_.requires_grad_(false);
  positions_.requires_grad_(false);
  freeze(*patches_);
  for (int64_t i = 0; i < std::min<int64_t>(options_.frozen_stages, std::ssize(blocks_)); ++i) {
    freeze(*blocks_[i]);
  }
  if (options_.frozen_stages >= std::ssize(blocks_)) freeze(*norm_);
}

torch::Tensor VisionTransformer::positions(int64_t rows, int64_t columns) const {
  if (rows == side_ && columns == side_) return positions_;
  namespace F = torch::nn::functional;
  const auto map = positions_.slice(1, 1).transpose(1, 2).unflatten(2, {side_, side_});
  const auto resized = F::interpolate(map, F::InterpolateFuncOptions()
                                               .size(std::vector<int64_t>{rows, columns})
                                               .mode(torch::kBicubic)
                                               .align_corners(false)
                                               .antialias(true));
  return torch::cat({positions_.slice(1, 0, 1), resized.flatten(2).transpose(1, 2)}, 1);
}

Features VisionTransformer::forward(const torch::Tensor& images) {
  const auto map = patches_(pad_to_multiple(images, options_.patch));
  const int64_t rows = map.size(2), columns = map.size(3);
  const auto patches = map.flatten(2).transpose(1, 2);
  // As many class tokens as images; N is never read as a number, so that a traced model takes any.
  const auto token = class_token_.expand_as(patches.slice(1, 0, 1));
  auto x = torch::cat({token, patches}, 1) + positions(rows, columns);
  for (const auto& block : blocks_) x = forward_block(block, options_.checkpoint_blocks, x);
  if (options_.output == Output::kToken) {
    return {norm_(x.slice(1, 0, 1)).transpose(1, 2).unsqueeze(3)};
  }
  return {norm_(x.slice(1, 1)).transpose(1, 2).unflatten(2, {rows, columns})};
}

std::vector<FeatureShape> VisionTransformer::shapes() const {
  const bool token = options_.output == Output::kToken;
  return {{channels_, token ? options_.image_size : options_.patch}};
}

}  // namespace dnc
