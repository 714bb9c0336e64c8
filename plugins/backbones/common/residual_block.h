#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace dnc {

/// What follows each convolution of a residual network. One name for it, and `norm` for its
/// modules, so that another normalisation is one change.
using Norm = torch::nn::BatchNorm2d;

/// A convolution without bias, because a Norm follows, padded to keep the size at stride 1.
torch::nn::Conv2d convolution(int64_t in_channels, int64_t out_channels, int64_t kernel,
                              int64_t stride = 1);

/// How the input of a block reaches its sum where stride or channels change (He et al. 2015,
/// "Deep residual learning for image recognition", section 4.1).
enum class Shortcut {
  kIdentity,    // A: every stride-th pixel, zeros in the new channels; has no parameters
  kProjection,  // B: 1x1 convolution and norm
};

struct BlockOptions {
  bool bottleneck = false;
  int64_t in_channels = 0;
  int64_t width = 0;  // channels of the 3x3 convolutions
  int64_t stride = 1;
  Shortcut shortcut = Shortcut::kProjection;
};

/// relu(residual(x) + shortcut(x)): [N, C, H, W] to [N, out_channels, H / stride, W / stride],
/// sizes rounded up. The modules are named as in torchvision.
class ResidualBlock : public torch::nn::Module {
 public:
  torch::Tensor forward(const torch::Tensor& x);
  int64_t out_channels() const { return out_channels_; }
  /// The last in the residual branch: while its weight is zero, the block is its shortcut.
  virtual Norm last_norm() const = 0;

 protected:
  ResidualBlock(const BlockOptions& options, int64_t out_channels);
  virtual torch::Tensor residual(const torch::Tensor& x) = 0;
  /// For the end of a constructor: parameters stand in the order of registration.
  void add_shortcut();

 private:
  torch::Tensor shortcut(const torch::Tensor& x);

  BlockOptions options_;
  int64_t out_channels_;
  torch::nn::Conv2d projection_{nullptr};
  Norm projection_norm_{nullptr};
};

/// Two 3x3 convolutions of `width` channels; the first has the stride.
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

/// 1x1 to `width` channels, 3x3, and 1x1 to 4 * width. The 3x3 has the stride (torchvision's
/// "v1.5", mmcls's style `pytorch`; the paper has it in the first 1x1).
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

/// Blocks in a row, named 0, 1, ...: the first as `options` say, the others at stride 1.
class ResidualStage final : public torch::nn::Module {
 public:
  ResidualStage(BlockOptions options, int64_t blocks);
  torch::Tensor forward(torch::Tensor x);
  int64_t out_channels() const { return blocks_.back()->out_channels(); }
  const std::vector<std::shared_ptr<ResidualBlock>>& blocks() const { return blocks_; }

 private:
  std::vector<std::shared_ptr<ResidualBlock>> blocks_;
};

/// Draws the convolutions below `net` from normal(0, sqrt(2 / fan_out)), as torchvision and mmcls
/// do (He et al. 2015, "Delving deep into rectifiers"). Norms are born with weight 1 and bias 0.
void init_convolutions(torch::nn::Module& net);

}  // namespace dnc
