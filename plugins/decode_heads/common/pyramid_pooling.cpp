#include "plugins/decode_heads/common/pyramid_pooling.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/cat.h>

#include <string>

namespace dnc {

PyramidPooling::PyramidPooling(int64_t in_channels, int64_t channels,
                               const std::vector<int64_t>& scales, const NormOptions& norm,
                               bool align_corners)
    : scales_(scales),
      align_corners_(align_corners),
      out_channels_(in_channels + std::ssize(scales) * channels) {
  for (size_t i = 0; i < scales.size(); ++i) {
    auto& part = *register_module(std::to_string(i), std::make_shared<torch::nn::Module>());
    convs_.push_back(part.register_module(
        "1", std::make_shared<ConvModule>(ConvShape{in_channels, channels}, norm)));
  }
}

torch::Tensor PyramidPooling::forward(const torch::Tensor& map) {
  std::vector<torch::Tensor> parts{map};
  for (size_t i = 0; i < scales_.size(); ++i) {
    const auto pooled = at::adaptive_avg_pool2d(map, {scales_[i], scales_[i]});
    parts.push_back(resize_to(convs_[i]->forward(pooled), map, align_corners_));
  }
  return at::cat(parts, 1);
}

}  // namespace dnc
