#pragma once

#include <torch/nn/modules/conv.h>

#include <vector>

#include "registry/backbone.h"
#include "registry/decode_head.h"

namespace dnc {

/// A network for pixels with one convolution, 4 channels at half the size. What it sees depends on
/// where the image ends, so windows of an image differ from the whole.
struct OneConvolution : Backbone {
  OneConvolution()
      : conv(register_module(
            "conv", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 3).stride(2).padding(1)))) {}
  Features forward(const torch::Tensor& images) override { return {conv(images)}; }
  std::vector<FeatureShape> shapes() const override { return {{4, 2}}; }
  torch::nn::Conv2d conv;
};

struct MapOfOneConvolution : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back(); }
  int64_t channels() const override { return 4; }
};

}  // namespace dnc
