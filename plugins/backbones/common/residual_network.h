#pragma once

#include <memory>
#include <vector>

#include "plugins/backbones/common/residual_block.h"
#include "registry/backbone.h"

namespace dnc {

/// What a residual network is made of.
struct ResidualLayout {
  int64_t stem_kernel = 3;
  int64_t stem_stride = 1;          // of the convolution
  bool stem_pooling = false;        // 3x3 max pooling of stride 2 after it
  BlockOptions block;               // of the first stage; later ones: twice the width, stride 2
  std::vector<int64_t> blocks;      // how many in each stage
  std::vector<int64_t> out_stages;  // whose maps are returned, from 0; rising
  bool zero_init_residual = false;  // the last norm of each block starts at 0
};

/// A stem (`conv1`, `bn1`) and stages of residual blocks (`layer1`, `layer2`, ...): images
/// [N, 3, H, W] to the maps of the stages in `out_stages`. The stages after the last of them are
/// not built. Names and initial weights are torchvision's.
class ResidualNetwork : public Backbone {
 public:
  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override;

 protected:
  /// Throws OptionError("out_stages") where they do not rise.
  explicit ResidualNetwork(const ResidualLayout& layout);

  torch::nn::Conv2d conv1() const { return conv1_; }
  Norm bn1() const { return bn1_; }
  const std::vector<std::shared_ptr<ResidualStage>>& stages() const { return stages_; }

 private:
  ResidualLayout layout_;
  torch::nn::Conv2d conv1_{nullptr};
  Norm bn1_{nullptr};
  std::vector<std::shared_ptr<ResidualStage>> stages_;
};

}  // namespace dnc
