#pragma once

#include <memory>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"
#include "plugins/decode_heads/common/pixel_head.h"
#include "plugins/decode_heads/common/pyramid_pooling.h"

namespace dnc {

/// PSPNet (Zhao et al. 2017; mmseg's PSPHead): a map [N, C, H, W] to embeddings [N, D, H, W], a 3x3
/// convolution, `bottleneck`, over the map and its means at some scales, `psp_modules`.
class Psp final : public PixelHead {
 public:
  struct Options : OneMapHeadOptions {
    std::vector<int64_t> pool_scales = {1, 2, 3, 6};
    void fields(Fields& f);
  };

  Psp(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;

 private:
  std::shared_ptr<PyramidPooling> pooling_;
  std::shared_ptr<ConvModule> bottleneck_;
};

}  // namespace dnc
