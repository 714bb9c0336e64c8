#include <torch/nn/modules/linear.h>

#include "registry/plugin.h"

namespace {

/// The last map [N, C, H, W] to an embedding of each image [N, channels]: its mean over the pixels,
/// projected.
class MyPlugin final : public dnc::DecodeHead {
 public:
  struct Options {
    int64_t channels = 32;
    void fields(dnc::Fields& f) { f("channels", channels, "D of the embeddings.").at_least(1); }
  };

  MyPlugin(const Options& options, const dnc::Context& context)
      : channels_(options.channels),
        projection_(register_module(
            "projection", torch::nn::Linear(context.features.back().channels, channels_))) {}

  torch::Tensor forward(const dnc::Features& features) override {
    return projection_(features.back().mean({2, 3}));
  }
  int64_t channels() const override { return channels_; }

 private:
  int64_t channels_;
  torch::nn::Linear projection_;
};

}  // namespace

DNC_PLUGIN(registrar) {
  registrar.decode_head<MyPlugin>("MyPlugin", "Mean over the pixels, then a linear layer.");
}
