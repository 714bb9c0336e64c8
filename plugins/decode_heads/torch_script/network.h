#pragma once

#include <vector>

#include "formats/torch_script.h"
#include "registry/context.h"
#include "registry/decode_head.h"
#include "registry/fields.h"

namespace dnc {

/// A module that torch.jit.save wrote, as a decode head: the backbone's maps [N, C, H, W] to
/// embeddings, [N, D] for images and [N, D, h, w] for pixels. Its `forward` takes one tensor, which
/// is the map that `in_index` names, or a List[Tensor], which are all of them.
///
/// formats/torch_script.h says what it shares with the module and what a trace is. A file of
/// TorchScript is a program: take it from where you would take a program.
class TorchScriptDecodeHead final : public DecodeHead {
 public:
  struct Options {
    Path file;
    bool frozen = false;
    int64_t in_index = -1;
    int64_t image_size = 224;
    void fields(Fields& f);
  };

  /// Loads the module and runs it once, on maps of zeros, to see what comes out. Throws OptionError
  /// for a file that is not there, that is no such module, whose module cannot run or returns
  /// something else, or where nothing in it learns although it is not frozen.
  TorchScriptDecodeHead(const Options& options, const Context& context);

  torch::Tensor forward(const Features& features) override;
  int64_t channels() const override { return channels_; }
  /// A frozen module stays in evaluation mode.
  void train(bool on = true) override;

 private:
  std::vector<c10::IValue> arguments(const Features& features) const;

  ScriptModule module_;
  bool takes_list_ = false;
  size_t map_ = 0;  // that it is given, where it takes one
  int64_t channels_ = 0;
};

}  // namespace dnc
