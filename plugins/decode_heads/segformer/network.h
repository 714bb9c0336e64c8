#pragma once

#include <memory>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"
#include "plugins/decode_heads/common/pixel_head.h"

namespace dnc {

/// The decoder of SegFormer (Xie et al. 2021, equation 4; mmseg's SegformerHead): maps from fine to
/// coarse, [N, C_i, H_i, W_i], to embeddings [N, D, H_0, W_0]. Each goes through a 1x1 convolution
/// to D channels (`convs.0`, `convs.1`, ...), all are resized to the first and mixed by another 1x1
/// (`fusion_conv`).
///
/// The mixing is done before the resizing: both are linear and commute, so the result is the same,
/// and the coarse maps cost what they cost at their own size.
class Segformer final : public PixelHead {
 public:
  enum class Interpolation { kBilinear, kNearest };

  struct Options : PixelHeadOptions {
    Interpolation interpolate_mode = Interpolation::kBilinear;
    Options() { channels = 256; }
    void fields(Fields& f);
  };

  Segformer(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;

 private:
  Interpolation interpolate_mode_;
  std::vector<std::shared_ptr<ConvModule>> convs_;
  std::shared_ptr<ConvModule> fusion_conv_;
};

}  // namespace dnc
