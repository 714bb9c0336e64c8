#pragma once

#include <filesystem>

#include "host/export/recording.h"
#include "host/weights/safetensors.h"

namespace dnc {

/// Parameters and buffers of a model by their dotted names, without the auxiliary heads: those that
/// an exported network has. They are the model's own tensors.
TensorMap exported_tensors(const Model& model);

/// Writes them as safetensors, with the description and config as metadata ("dnc.json",
/// "config.yaml"). Throws FileError, CheckpointError.
void write_exported_safetensors(const Model& model, const ExportInfo& info,
                                const std::filesystem::path& path);

/// Writes them, with the preprocessing's `mean` and `scale` [1, 3, 1, 1], as a dict of tensors that
/// torch.load(FILE, weights_only=True, mmap=True) reads. Its names are those of the state_dict of
/// the exported TorchScript module, and of a program that torch.export makes of it. Throws
/// FileError, CheckpointError.
void write_state_dict(const Model& model, const ExportInfo& info,
                      const std::filesystem::path& path);

}  // namespace dnc
