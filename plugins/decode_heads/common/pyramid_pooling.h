#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <vector>

#include "plugins/decode_heads/common/conv_module.h"

namespace dnc {

/// A map at several coarse sizes (Zhao et al. 2017, "Pyramid scene parsing network", section 3.2):
/// [N, C, H, W] to [N, C + scales * D, H, W], the map itself and, for each scale s, its means over
/// s x s parts after a 1x1 convolution to D channels, resized back. Named as mmseg's PPM: `0.1`,
/// `1.1`, ... are the convolutions, which counts the pooling before them.
class PyramidPooling final : public torch::nn::Module {
 public:
  PyramidPooling(int64_t in_channels, int64_t channels, const std::vector<int64_t>& scales,
                 const NormOptions& norm, bool align_corners);
  torch::Tensor forward(const torch::Tensor& map);
  int64_t out_channels() const { return out_channels_; }

 private:
  std::vector<int64_t> scales_;
  bool align_corners_;
  int64_t out_channels_;
  std::vector<std::shared_ptr<ConvModule>> convs_;
};

}  // namespace dnc
