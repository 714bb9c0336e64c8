#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <optional>
#include <vector>

#include "plugins/backbones/common/transformer.h"
#include "registry/backbone.h"
#include "registry/fields.h"

namespace dnc {

/// softmax(Q K^T / sqrt(C / heads)) V over all positions in each head: [N, L, C] to [N, L, C]. The
/// parameters are named as those of PyTorch's MultiheadAttention.
class SelfAttention final : public torch::nn::Module {
 public:
  SelfAttention(int64_t channels, int64_t heads);
  torch::Tensor forward(const torch::Tensor& tokens);

 private:
  int64_t heads_;
  torch::Tensor in_proj_weight_;  // [3 * C, C]: queries, keys, values
  torch::Tensor in_proj_bias_;    // [3 * C]
  torch::nn::Linear out_proj_;
};

/// x + attention(norm(x)), then x + mlp(norm(x)): [N, L, C] to the same.
class EncoderBlock final : public torch::nn::Module {
 public:
  EncoderBlock(int64_t channels, int64_t heads, double drop_rate);
  torch::Tensor forward(const torch::Tensor& tokens);

 private:
  double drop_rate_;
  torch::nn::LayerNorm norm1_;
  std::shared_ptr<SelfAttention> attention_;
  torch::nn::LayerNorm norm2_;
  std::shared_ptr<Mlp> mlp_;
};

/// Vision Transformer (Dosovitskiy et al. 2021; DeiT, Touvron et al. 2021, is the same network):
/// images [N, 3, H, W] to one map: the class token as [N, C, 1, 1], or the patches as
/// [N, C, H / patch, W / patch], sizes rounded up. Images are padded with zeros at the bottom and
/// right to whole patches; for another size than `image_size` the position embeddings are resized
/// (bicubic, with antialiasing, as in timm).
///
/// Layout, names and initial weights are torchvision's, so its weights load as they are.
class VisionTransformer final : public Backbone {
 public:
  enum class Size { kTiny, kSmall, kBase, kLarge };
  enum class Output { kToken, kMap };

  struct Options {
    Size size = Size::kBase;
    std::optional<int64_t> embed_dims;
    std::optional<int64_t> depth;
    std::optional<int64_t> heads;
    int64_t patch = 16;
    int64_t image_size = 224;
    Output output = Output::kToken;
    double stochastic_depth = 0;
    int64_t frozen_stages = -1;
    bool checkpoint_blocks = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for heads that do not divide the channels.
  explicit VisionTransformer(const Options& options);

  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override;
  /// What is frozen stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void freeze_parts();
  torch::Tensor positions(int64_t rows, int64_t columns) const;

  Options options_;
  int64_t channels_;
  int64_t side_;  // of the image in patches
  torch::Tensor class_token_;
  torch::nn::Conv2d patches_{nullptr};
  torch::Tensor positions_;  // [1, 1 + side * side, C], the class token's first
  std::vector<std::shared_ptr<EncoderBlock>> blocks_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace dnc
