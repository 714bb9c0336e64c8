#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"
#include "plugins/decode_heads/common/pixel_head.h"

namespace dnc {

/// Atrous spatial pyramid pooling: a map [N, C, H, W] seen with several dilations and as a whole,
/// [N, parts * D, H, W]. `aspp_modules.i` is a 3x3 convolution of dilation i, or a 1x1 for dilation
/// 1; `image_pool.1` sees the mean of the map, which every pixel is given.
class AtrousPyramidHead : public PixelHead {
 public:
  struct Options : OneMapHeadOptions {
    std::vector<int64_t> dilations = {1, 6, 12, 18};
    void fields(Fields& f);
  };

 protected:
  enum class Convolutions { kPlain, kDepthwiseSeparable };

  AtrousPyramidHead(const Options& options, const Context& context, Convolutions convolutions);

  /// The mean of the map, [N, D, H, W].
  torch::Tensor pooled(const torch::Tensor& map);
  /// What each dilation sees, each [N, D, H, W].
  std::vector<torch::Tensor> dilated(const torch::Tensor& map);
  /// Of all of these behind each other.
  int64_t pyramid_channels() const { return (std::ssize(branches_) + 1) * channels(); }

 private:
  std::shared_ptr<ConvModule> image_pool_;
  std::vector<std::function<torch::Tensor(const torch::Tensor&)>> branches_;
};

/// DeepLabV3 (Chen et al. 2017, "Rethinking atrous convolution"; mmseg's ASPPHead): a map
/// [N, C, H, W] to embeddings [N, D, H, W]. The pyramid goes through `bottleneck`, a 3x3
/// convolution.
///
/// In the layout of torchvision's DeepLabHead (with channels: 256 and dilations: [1, 12, 24, 36])
/// the whole stands last in the pyramid, and between the two a 1x1 convolution to D channels,
/// `project`, and a dropout of its own.
class Aspp final : public AtrousPyramidHead {
 public:
  enum class Layout { kMmseg, kTorchvision };

  struct Options : AtrousPyramidHead::Options {
    Layout layout = Layout::kMmseg;
    double project_dropout = 0.5;
    void fields(Fields& f);
  };

  Aspp(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;

 private:
  double project_dropout_;
  std::shared_ptr<ConvModule> project_;  // or null
  std::shared_ptr<ConvModule> bottleneck_;
};

/// DeepLabV3+ (Chen et al. 2018, "Encoder-decoder with atrous separable convolution"; mmseg's
/// DepthwiseSeparableASPPHead): embeddings [N, D, H_0, W_0] at the size of the backbone's first
/// map. The pyramid has separable convolutions; after `bottleneck` it is resized to the first map,
/// which `c1_bottleneck` brings to c1_channels, and `sep_bottleneck` mixes both.
class DepthwiseSeparableAspp final : public AtrousPyramidHead {
 public:
  struct Options : AtrousPyramidHead::Options {
    std::optional<int64_t> c1_in_channels;
    int64_t c1_channels = 48;
    void fields(Fields& f);
  };

  /// Throws OptionError where c1_in_channels is not 0 and differs from the backbone's first map.
  DepthwiseSeparableAspp(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;

 private:
  std::shared_ptr<ConvModule> bottleneck_;
  std::shared_ptr<ConvModule> c1_bottleneck_;  // or null: the first map has no part
  std::shared_ptr<DepthwiseSeparableConvModule> first_mix_;
  std::shared_ptr<DepthwiseSeparableConvModule> second_mix_;
};

}  // namespace dnc
