#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <optional>
#include <vector>

#include "registry/backbone.h"
#include "registry/fields.h"

namespace dnc {

/// Attention of all positions over a smaller map (Xie et al. 2021, equation 2): [N, H, W, C] to the
/// same. Keys and values come from the map after a convolution `sr` of kernel and stride
/// `reduction` and a norm. `attn` is named as PyTorch's MultiheadAttention, as in mmseg.
class ReducedAttention final : public torch::nn::Module {
 public:
  ReducedAttention(int64_t channels, int64_t heads, int64_t reduction);
  torch::Tensor forward(const torch::Tensor& map);

 private:
  int64_t heads_;
  torch::Tensor in_proj_weight_;  // [3 * C, C]: queries, keys, values
  torch::Tensor in_proj_bias_;    // [3 * C]
  torch::nn::Linear out_proj_{nullptr};
  torch::nn::Conv2d reduction_{nullptr};  // null where the map stays as it is
  torch::nn::LayerNorm norm_{nullptr};    // the same
};

/// linear(gelu(convolution(linear(x)))): [N, H, W, C] to the same, with 4 * C channels between. The
/// convolution, 3x3 in each channel by itself, is what tells positions apart; there are no position
/// embeddings. The linear layers are 1x1 convolutions, `layers.0` and `layers.4`, as in mmseg.
class MixFeedForward final : public torch::nn::Module {
 public:
  explicit MixFeedForward(int64_t channels);
  torch::Tensor forward(const torch::Tensor& map);

 private:
  torch::nn::Conv2d first_{nullptr};
  torch::nn::Conv2d positions_{nullptr};
  torch::nn::Conv2d second_{nullptr};
};

/// x + attention(norm(x)), then x + feed_forward(norm(x)): [N, H, W, C] to the same.
class MixBlock final : public torch::nn::Module {
 public:
  MixBlock(int64_t channels, int64_t heads, int64_t reduction, double drop_rate);
  torch::Tensor forward(const torch::Tensor& map);

 private:
  double drop_rate_;
  torch::nn::LayerNorm norm1_;
  std::shared_ptr<ReducedAttention> attention_;
  torch::nn::LayerNorm norm2_;
  std::shared_ptr<MixFeedForward> feed_forward_;
};

/// The encoder of SegFormer (Xie et al. 2021, table 6): images [N, 3, H, W] of at least 29 pixels
/// each way to the maps of the stages in `out_stages`, [N, C, H / s, W / s] with sizes rounded up,
/// C = embed_dims * heads of the stage, {1, 2, 5, 8}, and s = {4, 8, 16, 32}.
///
/// Names are mmseg's: `layers.i` is stage i, in which 0 embeds overlapping patches, 1 are the
/// blocks and 2 is the norm of the map. Initial weights are the authors'.
class MixVisionTransformer final : public Backbone {
 public:
  enum class Size { kB0, kB1, kB2, kB3, kB4, kB5 };

  struct Options {
    Size size = Size::kB0;
    std::optional<int64_t> embed_dims;
    std::vector<int64_t> depths;
    std::vector<int64_t> heads = {1, 2, 5, 8};
    std::vector<int64_t> reductions = {8, 4, 2, 1};
    double stochastic_depth = 0.1;
    std::vector<int64_t> out_stages = {0, 1, 2, 3};
    bool checkpoint_blocks = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for stages out of order and lists without a value for each stage.
  explicit MixVisionTransformer(const Options& options);

  /// Throws Error for images that are too small.
  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override;

 private:
  struct Stage {
    int64_t channels = 0;
    int64_t reduction = 1;
    torch::nn::Conv2d patches{nullptr};
    torch::nn::LayerNorm patch_norm{nullptr};
    std::vector<std::shared_ptr<MixBlock>> blocks;
    torch::nn::LayerNorm norm{nullptr};
  };
  void build_stage(const Options& options, int64_t index, int64_t first_block, int64_t all_blocks);

  std::vector<int64_t> out_stages_;
  bool recompute_;
  std::vector<Stage> stages_;
};

}  // namespace dnc
