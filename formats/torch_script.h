#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/nn/module.h>

#include <string>
#include <vector>

namespace dnc {

/// A module that torch.jit.save wrote, scripted or traced, inside a component, whose parameters and
/// buffers it then has under its own names: they train, move to a device and are saved like any
/// other's. Other state, such as a number that it counts up, is not saved. train() and eval() reach
/// a scripted module; a trace stays in the mode in which it was recorded, and has the sizes and the
/// device as constants that its code asked for.
///
/// A file of TorchScript is a program: take it from where you would take a program. Errors are
/// OptionErrors of the option `file`.
class ScriptModule {
 public:
  /// Reads the file, and registers parameters and buffers with `component`. Throws OptionError for
  /// a file that is not there or no such module, for a tensor that reaches beyond what is stored,
  /// and where nothing learns although it is not `frozen`.
  ScriptModule(torch::nn::Module& component, const std::string& file, bool frozen);

  /// What a method returns. Nothing of it is optimised for the sizes of the first calls, which
  /// would cost seconds, and again for each new size.
  c10::IValue call(const std::string& method, std::vector<c10::IValue> arguments);

  /// A method's arguments, as TorchScript names their types ("Tensor", "List[Tensor]"); nothing
  /// where there is no such method.
  std::vector<std::string> arguments(const std::string& method) const;
  bool has(const std::string& method) const { return module_.find_method(method).has_value(); }

  /// The mode of the module; a frozen one stays in evaluation mode.
  void train(bool on) { module_.train(on && !frozen_); }
  bool frozen() const { return frozen_; }

  /// A call on an example, without gradients and in evaluation mode, after which the buffers are
  /// what they were: a trace may be one of training.
  c10::IValue try_out(const std::string& method, std::vector<c10::IValue> arguments);

 private:
  struct Buffer {
    torch::jit::Module owner;
    std::string name;
    torch::Tensor tensor;
  };
  void share(torch::nn::Module& holder, const torch::jit::Module& module);
  void keep_buffers();

  torch::jit::Module module_;
  std::vector<Buffer> buffers_;
  bool frozen_;
};

/// The line of an error that says why: the last where TorchScript shows its stack, else the first.
std::string reason_of(const std::exception& error);

}  // namespace dnc
