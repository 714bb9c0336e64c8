#pragma once

#include <filesystem>

#include "host/weights/pth.h"

namespace dnc {

/// Reads a .safetensors file, or what PyTorch wrote, see read_pth(). What a file is says its
/// content, not its name. Throws CheckpointError, FileError.
ForeignWeights read_weights_file(const std::filesystem::path& path);

/// Writes .safetensors, or .pth for a name that ends with .pth or .pt. Throws CheckpointError for
/// another suffix, and as write_safetensors() and write_pth() do.
void write_weights(const std::filesystem::path& path, const TensorMap& tensors);

}  // namespace dnc
