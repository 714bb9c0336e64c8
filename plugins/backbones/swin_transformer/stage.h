#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <memory>
#include <mutex>
#include <vector>

#include "plugins/backbones/common/transformer.h"
#include "plugins/backbones/swin_transformer/window_layout.h"

namespace dnc {

/// Attention within windows: a map [N, H, W, C] to one of the same shape,
/// softmax(Q K^T / sqrt(C / heads) + B) V in each window and head, where B depends on how far two
/// positions are apart (Liu et al. 2021, equation 4).
class WindowAttention final : public torch::nn::Module {
 public:
  WindowAttention(int64_t channels, int64_t heads, int64_t side);
  torch::Tensor forward(const torch::Tensor& map, const WindowLayout& layout);

 private:
  torch::Tensor position_bias() const;

  int64_t heads_;
  int64_t side_;
  torch::Tensor table_;  // [(2 * side - 1)^2, heads], by rows and columns apart
  torch::nn::Linear qkv_;
  torch::nn::Linear proj_;
};

/// x + attention(norm(x)), then x + mlp(norm(x)): [N, H, W, C] to the same.
class SwinBlock final : public torch::nn::Module {
 public:
  SwinBlock(int64_t channels, int64_t heads, int64_t side, double drop_rate);
  torch::Tensor forward(const torch::Tensor& map, const WindowLayout& layout);

 private:
  double drop_rate_;
  torch::nn::LayerNorm norm1_;
  std::shared_ptr<WindowAttention> attention_;
  torch::nn::LayerNorm norm2_;
  std::shared_ptr<Mlp> mlp_;
};

/// Each 2x2 pixels become one: [N, H, W, C] to [N, H / 2, W / 2, 2 * C], sizes rounded up. The
/// pixels' order is that of torchvision, timm and the authors: down first, then right.
class PatchMerging final : public torch::nn::Module {
 public:
  explicit PatchMerging(int64_t channels);
  torch::Tensor forward(const torch::Tensor& map);

 private:
  torch::nn::Linear reduction_;
  torch::nn::LayerNorm norm_;
};

struct SwinStageOptions {
  int64_t channels = 0;
  int64_t heads = 0;
  int64_t side = 0;                                                    // of a window
  std::vector<double> drop_rates;                                      // of each block
  WindowLayout::Shift shift = WindowLayout::Shift::kWhereMoreThanOne;  // of every second block
  bool recompute = false;  // blocks keep their inputs only, see gradient_checkpointing.h
};

/// Blocks in a row, named 0, 1, ...: [N, H, W, C] to the same. Every second one shifts its windows.
/// Several threads may ask it at once, with maps of different sizes.
class SwinStage final : public torch::nn::Module {
 public:
  explicit SwinStage(const SwinStageOptions& options);
  torch::Tensor forward(torch::Tensor map);

 private:
  struct Layouts {
    WindowLayout still, shifted;
  };
  std::shared_ptr<const Layouts> layouts_for(const torch::Tensor& map);

  int64_t side_;
  WindowLayout::Shift shift_;
  bool recompute_;
  std::vector<std::shared_ptr<SwinBlock>> blocks_;
  std::mutex mutex_;                        // guards the next
  std::shared_ptr<const Layouts> layouts_;  // for the size seen last
};

}  // namespace dnc
