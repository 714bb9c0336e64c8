#pragma once

#include <vector>

#include "plugins/backbones/common/residual_network.h"
#include "registry/fields.h"

namespace dnc {

/// Residual network with four stages (He et al. 2015): images [N, 3, H, W] to the maps of the
/// stages in `out_stages`, [N, C, H / s, W / s] with sizes rounded up, where C = width * {1, 2, 4,
/// 8}, times 4 from depth 50 on, and s = {4, 8, 16, 32}, with the CIFAR stem {1, 2, 4, 8}.
///
/// Layout, names and initial weights are torchvision's, so its weights load as they are; those of
/// mmcls and mmseg too (ResNet with style `pytorch`).
class ResNet : public ResidualNetwork {
 public:
  enum class Stem {
    kImageNet,  // 7x7 convolution of stride 2, 3x3 max pooling of stride 2
    kCifar,     // 3x3 convolution of stride 1
  };

  struct Options {
    int64_t depth = 50;
    Stem stem = Stem::kImageNet;
    int64_t width = 64;
    std::vector<int64_t> out_stages = {3};
    int64_t frozen_stages = -1;
    bool norm_eval = false;
    bool zero_init_residual = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for a depth that there is not and for stages out of order.
  explicit ResNet(const Options& options);

  /// What is frozen stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void freeze();

  int64_t frozen_stages_;
  bool norm_eval_;
};

/// The same with the CIFAR stem as its default: mmcls's ResNet_CIFAR, the usual "ResNet-18 for
/// CIFAR". (The smaller networks of the paper's section 4.2 are ResNetCifar.)
class ResNetCifarStem final : public ResNet {
 public:
  struct Options : ResNet::Options {
    Options() { stem = Stem::kCifar; }
  };
  explicit ResNetCifarStem(const Options& options) : ResNet(options) {}
};

}  // namespace dnc
