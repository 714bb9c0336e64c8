#pragma once

#include "formats/torch_script.h"
#include "registry/context.h"
#include "registry/fields.h"
#include "registry/head.h"

namespace dnc {

/// A module that torch.jit.save wrote, as a head: `forward(x: Tensor)` takes embeddings [N, D], of
/// pixels [N, D, h, w], to scores [N, classes] or [N, classes, h, w].
///
/// Where it has a method `update(embeddings: Tensor, labels: Tensor)`, that is called without
/// gradients after each step of the optimizer, with the embeddings and the labels int64 [N], of
/// pixels [N, H, W] at the size of the images, of all ranks; -1 is no label. It may change buffers,
/// in place or by new ones.
///
/// formats/torch_script.h says what it shares with the module and what a trace is. A file of
/// TorchScript is a program: take it from where you would take a program.
class TorchScriptHead final : public Head {
 public:
  struct Options {
    Path file;
    bool frozen = false;
    void fields(Fields& f);
  };

  /// Loads the module and runs its forward once, on embeddings of zeros. Throws OptionError for a
  /// file that is not there, that is no such module, whose module cannot run or has not a score for
  /// each class, whose `update` takes something else, or where nothing in it learns although it has
  /// parameters and is not frozen.
  TorchScriptHead(const Options& options, const Context& context);

  torch::Tensor forward(const torch::Tensor& embeddings) override;
  void update(const HeadStep& step, Communicator& communicator) override;
  /// A frozen module stays in evaluation mode.
  void train(bool on = true) override;

 private:
  ScriptModule module_;
  bool updates_ = false;
};

}  // namespace dnc
