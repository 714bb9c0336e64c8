#include "plugins/decode_heads/common/projection.h"

#include <string>

namespace dnc {

void ProjectionOptions::fields(Fields& f) {
  f("layers", layers,
    "1x1 convolutions behind the dropout, with a norm and ReLU between them; 0 for none. "
    "ProtoSeg's projection has 2.")
      .between(0, 8);
  f("channels", channels, "Channels of the embeddings then; 0 for as many as go in.")
      .between(0, 16384);
}

Projection::Projection(int64_t in_channels, const ProjectionOptions& options,
                       const NormOptions& norm)
    : channels_(options.channels > 0 ? options.channels : in_channels) {
  for (int64_t i = 0; i + 1 < options.layers; ++i) {
    const ConvShape shape{in_channels, in_channels};
    hidden_.push_back(
        register_module(std::to_string(i), std::make_shared<ConvModule>(shape, norm)));
  }
  last_ = register_module(
      std::to_string(options.layers - 1),
      torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, channels_, /*kernel_size=*/1)));
}

torch::Tensor Projection::forward(const torch::Tensor& x) {
  auto y = x;
  for (const auto& layer : hidden_) y = layer->forward(y);
  return last_(y);
}

}  // namespace dnc
