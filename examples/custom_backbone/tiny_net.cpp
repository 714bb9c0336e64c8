#include <torch/nn/modules/conv.h>

#include "registry/plugin.h"

struct TinyNet : dnc::Backbone {
  struct Options {
    int64_t width = 16;
    void fields(dnc::Fields& f) { f("width", width, "Channels of the convolution.").at_least(1); }
  };
  explicit TinyNet(const Options& options)
      : conv(register_module("conv", torch::nn::Conv2d(3, options.width, 3))) {}
  dnc::Features forward(const torch::Tensor& images) override { return {conv(images).relu()}; }
  std::vector<dnc::FeatureShape> shapes() const override {
    return {{conv->options.out_channels(), 1}};
  }
  torch::nn::Conv2d conv;
};

DNC_PLUGIN(registrar) { registrar.backbone<TinyNet>("TinyNet", "One convolution."); }
