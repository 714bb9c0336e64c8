#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>
#include <vector>

#include "plugins/backbones/common/norm.h"

namespace dnc {

/// A convolution without bias, because a norm follows, padded to keep the size at stride 1.
torch::nn::Conv2d convolution(int64_t in_channels, int64_t out_channels, int64_t kernel,
                              int64_t stride = 1, int64_t dilation = 1, int64_t groups = 1);

/// How the input of a block reaches its sum where stride or channels change.
enum class Shortcut {
  kIdentity,    // A: every stride-th pixel, zeros in the new channels; has no parameters
  kProjection,  // B: 1x1 convolution with the stride, and norm
  kPooling,     // D: average pooling with the stride, 1x1 convolution, and norm
};
// A and B: He et al. 2015, "Deep residual learning for image recognition", section 4.1. D: He et
// al. 2019, "Bag of tricks for image classification", figure 2c.

/// Which convolution of a bottleneck has the stride: the first, a 1x1, as in the paper (mmcls's
/// style `caffe`), or the 3x3 (`pytorch`, torchvision's "v1.5").
enum class StrideIn { kFirst, kMiddle };

struct BlockOptions {
  bool bottleneck = false;
  int64_t in_channels = 0;
  int64_t width = 0;  // channels of the 3x3 convolutions
  int64_t out_channels = 0;
  int64_t stride = 1;
  int64_t dilation = 1;  // of the first 3x3 convolution
  int64_t groups = 1;    // of a bottleneck's 3x3 convolution
  StrideIn stride_in = StrideIn::kMiddle;
  Shortcut shortcut = Shortcut::kProjection;
  NormOptions norm;
  double drop_rate = 0;  // of the residual branch, see stochastic_depth()
};

/// relu(residual(x) + shortcut(x)): [N, C, H, W] to [N, out_channels, H / stride, W / stride],
/// sizes rounded up. The modules are named as in torchvision, and as in timm where it has none.
class ResidualBlock : public torch::nn::Module {
 public:
  torch::Tensor forward(const torch::Tensor& x);
  /// The last in the residual branch: while its weight is zero, the block is its shortcut.
  virtual Norm last_norm() const = 0;
  double drop_rate() const { return options_.drop_rate; }

 protected:
  explicit ResidualBlock(const BlockOptions& options) : options_(options) {}
  virtual torch::Tensor residual(const torch::Tensor& x) = 0;
  /// For the end of a constructor: parameters stand in the order of registration.
  void add_shortcut();

 private:
  torch::Tensor shortcut(const torch::Tensor& x);

  BlockOptions options_;
  torch::nn::Conv2d projection_{nullptr};
  Norm projection_norm_{nullptr};
};

/// Two 3x3 convolutions of `width` channels; the first has the stride and the dilation.
class BasicBlock final : public ResidualBlock {
 public:
  explicit BasicBlock(const BlockOptions& options);
  Norm last_norm() const override { return bn2_; }

 private:
  torch::Tensor residual(const torch::Tensor& x) override;

  torch::nn::Conv2d conv1_;
  Norm bn1_;
  torch::nn::Conv2d conv2_;
  Norm bn2_;
};

/// 1x1 to `width` channels, 3x3, and 1x1 to `out_channels`. The 3x3 has the groups and the
/// dilation.
class Bottleneck final : public ResidualBlock {
 public:
  explicit Bottleneck(const BlockOptions& options);
  Norm last_norm() const override { return bn3_; }

 private:
  torch::Tensor residual(const torch::Tensor& x) override;

  torch::nn::Conv2d conv1_;
  Norm bn1_;
  torch::nn::Conv2d conv2_;
  Norm bn2_;
  torch::nn::Conv2d conv3_;
  Norm bn3_;
};

struct StageOptions {
  BlockOptions block;              // the first
  int64_t blocks = 1;              // how many
  int64_t dilation = 1;            // of the others
  std::vector<double> drop_rates;  // of each block; empty: all have that of the first
  bool recompute = false;          // blocks keep their inputs only, see
                                   // gradient_checkpointing.h
};

/// Blocks in a row, named 0, 1, ...; those after the first have stride 1.
class ResidualStage final : public torch::nn::Module {
 public:
  explicit ResidualStage(const StageOptions& options);
  torch::Tensor forward(torch::Tensor x);
  const std::vector<std::shared_ptr<ResidualBlock>>& blocks() const { return blocks_; }

 private:
  bool recompute_;
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
};

/// Draws the convolutions below `net` from normal(0, sqrt(2 / fan_out)), as torchvision and mmcls
/// do (He et al. 2015, "Delving deep into rectifiers"). Norms are born with weight 1 and bias 0.
void init_convolutions(torch::nn::Module& net);

}  // namespace dnc
