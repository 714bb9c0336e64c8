#pragma once

#include <optional>
#include <vector>

#include "plugins/backbones/common/residual_network.h"
#include "registry/context.h"
#include "registry/fields.h"

namespace dnc {

/// Residual network with four stages (He et al. 2015): images [N, 3, H, W] to the maps of the
/// stages in `out_stages`, [N, C, H / s, W / s] with sizes rounded up, where C = width * {1, 2, 4,
/// 8}, times 4 from depth 50 on, and s = {4, 8, 16, 32}, with the CIFAR stem {1, 2, 4, 8}; other
/// `strides` give other s.
///
/// Its relatives, by the names of the literature:
///   v1    style: caffe              the stride in the first 1x1 convolution, as in the paper
///   v1b   the defaults
///   v1c   deep_stem                 three 3x3 convolutions in place of the 7x7
///   v1d   deep_stem, avg_down       and average pooling in the shortcuts (He et al. 2019)
///   ResNeXt    groups, base_width   (Xie et al. 2017): 32 and 4, ...
///   wide       base_width: 128      (Zagoruyko and Komodakis 2016), as in torchvision
///   dilated    strides: [1, 2, 1, 1], dilations: [1, 1, 2, 4]    for segmentation, as in mmseg
///
/// Layout, names and initial weights are torchvision's, and timm's for v1c and v1d, so their
/// weights load as they are.
class ResNet : public ResidualNetwork {
 public:
  enum class Stem {
    kImageNet,  // 7x7 convolution of stride 2, 3x3 max pooling of stride 2
    kCifar,     // 3x3 convolution of stride 1
  };

  struct Options {
    int64_t depth = 50;
    Stem stem = Stem::kImageNet;
    bool deep_stem = false;
    bool avg_down = false;
    StrideIn style = StrideIn::kMiddle;
    int64_t width = 64;
    std::optional<int64_t> stem_channels;
    int64_t groups = 1;
    std::optional<int64_t> base_width;
    std::vector<int64_t> strides = {1, 2, 2, 2};
    std::vector<int64_t> dilations = {1, 1, 1, 1};
    bool contract_dilation = false;
    NormOptions norm;
    std::vector<int64_t> out_stages = {3};
    int64_t frozen_stages = -1;
    bool norm_eval = false;
    double stochastic_depth = 0;
    bool zero_init_residual = false;
    bool checkpoint_blocks = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for a depth that there is not, for stages out of order, and for options
  /// that do not go together.
  explicit ResNet(const Options& options, const Context& context = {});

  /// What is frozen stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void freeze_parts();

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
  explicit ResNetCifarStem(const Options& options, const Context& context = {})
      : ResNet(options, context) {}
};

/// ResNet-C: with the deep stem as its default.
class ResNetV1c final : public ResNet {
 public:
  struct Options : ResNet::Options {
    Options() { deep_stem = true; }
  };
  explicit ResNetV1c(const Options& options, const Context& context = {})
      : ResNet(options, context) {}
};

/// ResNet-D: with the deep stem and the average pooling of the shortcuts as its defaults.
class ResNetV1d final : public ResNet {
 public:
  struct Options : ResNet::Options {
    Options() { deep_stem = avg_down = true; }
  };
  explicit ResNetV1d(const Options& options, const Context& context = {})
      : ResNet(options, context) {}
};

/// With 32 groups of 4 channels as its default.
class ResNeXt final : public ResNet {
 public:
  struct Options : ResNet::Options {
    Options() {
      groups = 32;
      base_width = 4;
    }
  };
  explicit ResNeXt(const Options& options, const Context& context = {})
      : ResNet(options, context) {}
};

}  // namespace dnc
