#pragma once

#include <memory>
#include <vector>

#include "plugins/backbones/common/residual_block.h"
#include "registry/backbone.h"

namespace dnc {

/// What a residual network is made of.
struct ResidualLayout {
  struct Stem {
    int64_t channels = 64;
    int64_t kernel = 3;
    int64_t stride = 1;    // of the (first) convolution
    bool deep = false;     // three 3x3 convolutions, the first two of half the channels
    bool pooling = false;  // 3x3 max pooling of stride 2 at its end
  };
  Stem stem;
  // The first block of the first stage, but for the channels: `width` and `out_channels` double
  // with each stage.
  BlockOptions block;
  std::vector<int64_t> blocks;      // how many in each stage
  std::vector<int64_t> strides;     // of each stage
  std::vector<int64_t> dilations;   // of each stage
  bool contract_dilation = false;   // half of it in the first block of a stage
  std::vector<int64_t> out_stages;  // whose maps are returned, from 0; rising
  bool zero_init_residual = false;  // the last norm of each block starts at 0
  double stochastic_depth = 0;      // rate of the last block, see stochastic_depth_rate()
  bool recompute = false;           // the blocks' StageOptions::recompute
};

/// A stem (`conv1`, `bn1`) and stages of residual blocks (`layer1`, `layer2`, ...): images
/// [N, 3, H, W] to the maps of the stages in `out_stages`. The stages after the last of them are
/// not built. Names and initial weights are torchvision's; those of a deep stem are timm's (`conv1`
/// holds the convolutions 0, 3 and 6 and the norms 1 and 4).
class ResidualNetwork : public Backbone {
 public:
  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override { return shapes_; }

 protected:
  /// Throws OptionError("out_stages") where they do not rise.
  explicit ResidualNetwork(const ResidualLayout& layout);

 private:
  void build_stem(const ResidualLayout::Stem& stem, const NormOptions& norm);
  void build_stages(const ResidualLayout& layout);

  bool stem_pooling_;
  std::vector<int64_t> out_stages_;
  std::vector<FeatureShape> shapes_;
  std::vector<torch::nn::Conv2d> stem_convolutions_;
  std::vector<Norm> stem_norms_;  // one after each
  std::vector<std::shared_ptr<ResidualStage>> stages_;
};

}  // namespace dnc
