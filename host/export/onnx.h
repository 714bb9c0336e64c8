#pragma once

#include <string>

#include "host/export/onnx_model.h"
#include "host/export/recording.h"

namespace dnc {

struct OnnxExport {
  OnnxModel model;
  std::string fixed_by;  // what keeps it to one size, such as "model.decode_head"; or empty
};

/// A model as one of ONNX (opset 17), with preprocessing and decision inside and the description
/// and config as metadata ("dnc.json", "config.yaml").
///
///   images uint8 [N, 3, H, W], RGB -> scores [N, C], classes int64 [N], probabilities [N],
///                                     embeddings [N, D]
///   of pixels, scores [N, C, H, W], classes and probabilities [N, H, W], embeddings [N, D, h, w]
///
/// N is free, and so are H and W where nothing in the network fixes them. Parameters have their
/// dotted names; one that is stored transposed or cut has what was done behind its name. Throws
/// Error as record_network() does, and for an operator without a rule, with the component that it
/// is in. The model must be on the CPU; it is in evaluation mode afterwards.
OnnxExport to_onnx(Model& model, const ExportInfo& info);

/// Writes it. The bytes are read again, computed by run_onnx() and compared with the model at
/// several numbers and sizes of images before the file gets its name. Throws Error, FileError.
void write_onnx_file(const OnnxExport& exported, Model& model, const ExportInfo& info,
                     const std::string& path);

}  // namespace dnc
