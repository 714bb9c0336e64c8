#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>

#include "host/export/recording.h"
#include "host/model.h"

namespace dnc {

struct TorchScriptExport {
  torch::jit::Module module;
  std::string fixed_by;  // what keeps it to one size, such as "model.decode_head"; or empty
};

/// A model as one TorchScript module, which needs nothing of this program and shares the model's
/// tensors: parameters and buffers under their dotted names, without the auxiliary heads. Images
/// are uint8 [N, 3, H, W], or floating with values from 0 to 1; N, H and W may be any that the
/// network takes.
///
///   forward(images) -> scores [N, C]; of pixels [N, C, H, W]
///   predict(images) -> (classes int64 [N], probabilities [N]); of pixels [N, H, W] each
///   embed(images)   -> embeddings [N, D]; of pixels [N, D, h, w]
///   class_names: List[str], task: str ("images", "pixels"), any_size: bool (of H and W)
///
/// The network is recorded on an image of `info.size` and compared with the model for more images
/// and at other sizes. Throws Error, with the component that is to blame, where it differs for
/// another number of images; where it differs at another size, the module takes that one size only
/// and says so. The model must be on the CPU; it is in evaluation mode afterwards.
TorchScriptExport to_torch_script(Model& model, const ExportInfo& info);

/// Writes a module of to_torch_script() with class names, palette, preprocessing and config beside
/// it in the archive ("dnc.json", "config.yaml"). The file is read again and compared with the
/// model before it gets its name. Throws Error, FileError.
void write_torch_script(const torch::jit::Module& module, Model& model, const ExportInfo& info,
                        const std::string& path);

}  // namespace dnc
