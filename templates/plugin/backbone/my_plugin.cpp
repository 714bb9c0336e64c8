#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include "registry/plugin.h"

namespace {

/// Images [N, 3, H, W] to one map [N, width, H / 2, W / 2]: a convolution, batch norm and ReLU.
class MyPlugin final : public dnc::Backbone {
 public:
  struct Options {
    int64_t width = 16;
    void fields(dnc::Fields& f) { f("width", width, "Channels of the map.").at_least(1); }
  };

  explicit MyPlugin(const Options& options)
      : width_(options.width),
        conv_(register_module(
            "conv", torch::nn::Conv2d(
                        torch::nn::Conv2dOptions(3, width_, 3).stride(2).padding(1).bias(false)))),
        bn_(register_module("bn", torch::nn::BatchNorm2d(width_))) {}

  dnc::Features forward(const torch::Tensor& images) override {
    return {bn_(conv_(images)).relu()};
  }
  std::vector<dnc::FeatureShape> shapes() const override { return {{width_, 2}}; }

 private:
  int64_t width_;
  torch::nn::Conv2d conv_;
  torch::nn::BatchNorm2d bn_;
};

}  // namespace

DNC_PLUGIN(registrar) {
  registrar.backbone<MyPlugin>("MyPlugin", "A convolution with batch norm and ReLU.");
}
