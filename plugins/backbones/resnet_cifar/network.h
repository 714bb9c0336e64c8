#pragma once

#include <vector>

#include "plugins/backbones/common/residual_network.h"
#include "registry/fields.h"

namespace dnc {

/// The small residual network of He et al. 2015, section 4.2: a 3x3 convolution and three stages of
/// n = (depth - 2) / 6 basic blocks. Images [N, 3, H, W] of any size to the maps of the stages in
/// `out_stages`, [N, C, H / s, W / s] with sizes rounded up, C = width * {1, 2, 4} and s = {1, 2,
/// 4}.
class ResNetCifar final : public ResidualNetwork {
 public:
  struct Options {
    int64_t depth = 20;
    Shortcut shortcut = Shortcut::kIdentity;
    int64_t width = 16;
    std::vector<int64_t> out_stages = {2};
    void fields(Fields& f);
  };

  /// Throws OptionError for a depth that is not 6n + 2 and for stages out of order.
  explicit ResNetCifar(const Options& options);
};

}  // namespace dnc
