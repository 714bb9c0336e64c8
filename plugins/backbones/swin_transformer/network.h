#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>

#include <memory>
#include <optional>
#include <vector>

#include "plugins/backbones/swin_transformer/stage.h"
#include "registry/backbone.h"
#include "registry/fields.h"

namespace dnc {

/// Swin Transformer (Liu et al. 2021): images [N, 3, H, W] of any size to the maps of the stages in
/// `out_stages`, [N, C, H / s, W / s] with sizes rounded up, C = embed_dims * {1, 2, 4, 8} and
/// s = {4, 8, 16, 32}. Maps are padded with zeros at the bottom and right to whole patches and
/// windows, as in mmcls and mmseg.
///
/// Layout, names and initial weights are torchvision's: `features.0` embeds the patches,
/// `features.1`, 3, 5 and 7 are the stages, 2, 4 and 6 merge patches between them, and `norm`
/// follows the last stage. With `norm_each` the maps of the other stages go through `norm0`,
/// `norm1` and `norm2`, as in mmseg. `relative_position_index`, which torchvision saves, is not
/// kept: it follows from the size of the window.
class SwinTransformer final : public Backbone {
 public:
  enum class Size { kTiny, kSmall, kBase, kLarge };

  struct Options {
    Size size = Size::kTiny;
    std::optional<int64_t> embed_dims;
    std::vector<int64_t> depths;
    std::vector<int64_t> heads;
    int64_t window = 7;
    bool shift_single_window = false;
    double stochastic_depth = 0.2;
    std::vector<int64_t> out_stages = {3};
    bool norm_each = false;
    int64_t frozen_stages = -1;
    bool checkpoint_blocks = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for heads that do not divide the channels and for stages out of order.
  explicit SwinTransformer(const Options& options);

  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override;
  /// What is frozen stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void build_stages(const Options& options);
  void freeze_parts();

  std::vector<int64_t> out_stages_;
  int64_t frozen_stages_;
  int64_t embed_dims_;
  torch::nn::Conv2d patches_{nullptr};
  torch::nn::LayerNorm patch_norm_{nullptr};
  std::vector<std::shared_ptr<SwinStage>> stages_;
  std::vector<std::shared_ptr<PatchMerging>> mergings_;  // after each stage but the last
  std::vector<torch::nn::LayerNorm> norms_;              // one for each map, or null
};

}  // namespace dnc
