#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

#include "registry/backbone.h"
#include "registry/fields.h"

namespace dnc {

/// A module that torch.jit.save wrote, scripted or traced: images [N, 3, H, W] to the tensor that
/// it returns, or to each tensor of a tuple, list or dict, in that order. Each is [N, C, H', W'],
/// or [N, C], which becomes a map of one pixel.
///
/// Parameters and buffers are shared with the module and have its names, so they train, move to a
/// device and are saved like any other's. Other state, such as a number that it counts up, is not
/// saved. train() and eval() reach a scripted module; a trace stays in the mode in which it was
/// recorded, and has the sizes and the device as constants that its code asked for.
///
/// A file of TorchScript is a program: take it from where you would take a program.
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
  struct Buffer {
    torch::jit::Module owner;
    std::string name;
    torch::Tensor tensor;
  };
  void share(torch::nn::Module& holder, const torch::jit::Module& module);
  void keep_buffers();
  void measure(const Options& options);

  bool frozen_;
  torch::jit::Module module_;
  std::vector<Buffer> buffers_;
  std::vector<FeatureShape> shapes_;
};

}  // namespace dnc
