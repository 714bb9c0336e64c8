#pragma once

#include <vector>

#include "formats/torch_script.h"
#include "registry/backbone.h"
#include "registry/fields.h"

namespace dnc {

/// A module that torch.jit.save wrote, scripted or traced: images [N, 3, H, W] to the tensor that
/// it returns, or to each tensor of a tuple, list or dict, in that order. Each is [N, C, H', W'],
/// or [N, C], which becomes a map of one pixel.
///
/// formats/torch_script.h says what it shares with the module and what a trace is. A file of
/// TorchScript is a program: take it from where you would take a program.
class TorchScript final : public Backbone {
 public:
  struct Options {
    Path file;
    bool frozen = false;
    int64_t image_size = 224;
    std::vector<int64_t> out_channels;
    std::vector<int64_t> strides;
    void fields(Fields& f);
  };

  /// Loads the module and runs it once, on a black image, to see what comes out. Throws OptionError
  /// for a file that is not there, that is no such module, whose module cannot run or returns
  /// something else, or without parameters that learn where it is not frozen.
  explicit TorchScript(const Options& options);

  Features forward(const torch::Tensor& images) override;
  std::vector<FeatureShape> shapes() const override { return shapes_; }
  /// A frozen module stays in evaluation mode.
  void train(bool on = true) override;

 private:
  void measure(const Options& options);

  ScriptModule module_;
  std::vector<FeatureShape> shapes_;
};

}  // namespace dnc
