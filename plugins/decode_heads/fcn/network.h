#pragma once

#include <memory>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"
#include "plugins/decode_heads/common/pixel_head.h"

namespace dnc {

/// Convolutions in a row (Long et al. 2015, "Fully convolutional networks"; mmseg's FCNHead): a map
/// [N, C, H, W] to embeddings [N, D, H, W]. `convs.0`, `convs.1`, ... are k x k; with
/// `concat_input` another one, `conv_cat`, looks at the map and their result together.
///
/// torchvision's FCNHead is the one of `num_convs: 1, concat_input: false, channels: 512`.
class Fcn final : public PixelHead {
 public:
  struct Options : OneMapHeadOptions {
    int64_t num_convs = 2;
    int64_t kernel_size = 3;
    bool concat_input = true;
    int64_t dilation = 1;
    void fields(Fields& f);
  };

  /// Throws OptionError for an even kernel_size, and for num_convs: 0 where `channels` are not
  /// those of the map.
  Fcn(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;

 private:
  std::vector<std::shared_ptr<ConvModule>> convs_;
  std::shared_ptr<ConvModule> conv_cat_;  // or null
};

}  // namespace dnc
