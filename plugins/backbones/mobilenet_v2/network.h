#pragma once

#include <torch/nn/modules/container/sequential.h>

#include <vector>

#include "registry/backbone.h"
#include "registry/fields.h"

namespace dnc {

/// MobileNetV2 (Sandler et al. 2018, table 2): images [N, 3, H, W] to the maps of the stages in
/// `out_stages`, [N, C, H / s, W / s] with sizes rounded up.
///
///   stage    0   1   2   3   4    5    6     7
///   C       16  24  32  64  96  160  320  1280   times width_multiplier, to a multiple of 8;
///   s        2   4   8  16  16   32   32    32   the 1280 never become fewer
///
/// Layout, names and initial weights are torchvision's, so its weights load as they are:
/// `features.0` is the stem, 1 to 17 are the blocks of stages 0 to 6, 18 is stage 7.
class MobileNetV2 final : public Backbone {
 public:
  struct Options {
    double width_multiplier = 1;
    std::vector<int64_t> out_stages = {7};
    void fields(Fields& f);
  };

  /// Throws OptionError for stages out of order.
  explicit MobileNetV2(const Options& options);

  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override { return shapes_; }

 private:
  torch::nn::Sequential features_;
  std::vector<size_t> ends_;  // for each map, the last of its features
  std::vector<FeatureShape> shapes_;
};

}  // namespace dnc
