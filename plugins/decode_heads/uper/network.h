#pragma once

#include <memory>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"
#include "plugins/decode_heads/common/pixel_head.h"
#include "plugins/decode_heads/common/pyramid_pooling.h"

namespace dnc {

/// UPerNet (Xiao et al. 2018, "Unified perceptual parsing"; mmseg's UPerHead): maps from fine to
/// coarse, [N, C_i, H_i, W_i], to embeddings [N, D, H_0, W_0]. The last map goes through pyramid
/// pooling (`psp_modules`, `bottleneck`), the others through 1x1 convolutions (`lateral_convs`);
/// each is then added to the next finer one. All but the last go through `fpn_convs` and, resized
/// to the first, together through `fpn_bottleneck`.
class UPer final : public PixelHead {
 public:
  struct Options : PixelHeadOptions {
    std::vector<int64_t> pool_scales = {1, 2, 3, 6};
    void fields(Fields& f);
  };

  UPer(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;

 private:
  std::shared_ptr<PyramidPooling> pooling_;
  std::shared_ptr<ConvModule> bottleneck_;
  std::vector<std::shared_ptr<ConvModule>> lateral_convs_;  // one less than maps
  std::vector<std::shared_ptr<ConvModule>> fpn_convs_;      // the same
  std::shared_ptr<ConvModule> fpn_bottleneck_;
};

}  // namespace dnc
