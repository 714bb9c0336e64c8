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

/// x + scale * linear(gelu(linear(norm(convolution(x))))): [N, C, H, W] to the same. The
/// convolution is 7x7 in each channel by itself, the linear layers have 4 * C channels between.
class ConvNextBlock final : public torch::nn::Module {
 public:
  ConvNextBlock(int64_t channels, double drop_rate, double layer_scale);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  double drop_rate_;
  torch::Tensor layer_scale_;  // [C, 1, 1]
  torch::nn::Conv2d conv_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear first_{nullptr};
  torch::nn::Linear second_{nullptr};
};

/// A norm over channels and a convolution of as much stride as its kernel is wide; the norm comes
/// first between stages, last in the stem. [N, C, H, W] to [N, D, H / stride, W / stride], sizes
/// rounded down.
class ConvNextDownsampling final : public torch::nn::Module {
 public:
  ConvNextDownsampling(int64_t in_channels, int64_t out_channels, int64_t stride, bool norm_first);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  bool norm_first_;
  torch::nn::Conv2d conv_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
};

/// ConvNeXt (Liu et al. 2022): images [N, 3, H, W] of at least 32 pixels each way to one output for
/// each stage in `out_stages`: [N, C, 1, 1], the norm of the map's mean, as classification wants
/// it, or [N, C, H / s, W / s] with sizes rounded down, the norm of each pixel, for segmentation.
/// C = width * {1, 2, 4, 8} and s = {4, 8, 16, 32}.
///
/// Layout, names and initial weights are torchvision's: `features.0` is the stem, `features.1`, 3,
/// 5 and 7 are the stages, 2, 4 and 6 stand between them. Only the last norm, torchvision's
/// `classifier.0`, is `norm` here, and those after the other stages are `norm0`, `norm1`, `norm2`,
/// as in mmseg.
class ConvNext final : public Backbone {
 public:
  enum class Size { kTiny, kSmall, kBase, kLarge };
  enum class Output { kPooled, kMap };

  struct Options {
    Size size = Size::kTiny;
    std::optional<int64_t> width;
    std::vector<int64_t> depths;
    std::vector<int64_t> out_stages = {3};
    Output output = Output::kPooled;
    double stochastic_depth = 0.1;
    double layer_scale = 1e-6;
    int64_t frozen_stages = -1;
    bool checkpoint_blocks = false;
    void fields(Fields& f);
  };

  /// Throws OptionError for stages out of order.
  explicit ConvNext(const Options& options);

  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override;
  /// What is frozen stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void freeze_parts();

  std::vector<int64_t> out_stages_;
  int64_t frozen_stages_;
  bool checkpoint_blocks_;
  Output output_;
  int64_t width_;
  std::vector<std::shared_ptr<ConvNextDownsampling>> downsamplings_;  // before each stage
  std::vector<std::vector<std::shared_ptr<ConvNextBlock>>> stages_;
  std::vector<torch::nn::LayerNorm> norms_;  // one for each output
};

}  // namespace dnc
