#pragma once

#include <filesystem>
#include <string>

#include "host/weights/safetensors.h"

namespace dnc {

/// Tensors that took a pass over data to compute, kept in a file with a digest of all that they
/// depend on and a checksum of what they are. Throws FileError.
void write_cached(const std::filesystem::path& file, const std::string& digest,
                  const TensorMap& tensors, Metadata metadata);

/// Reads them back. Throws Error, beginning with the file, where it is damaged or of another
/// digest.
TensorFile read_cached(const std::filesystem::path& file, const std::string& digest);

/// A tensor of it of that type and size, -1 for any; throws Error, "FILE: is damaged".
torch::Tensor cached_tensor(const TensorFile& cached, const std::filesystem::path& file,
                            const std::string& name, torch::ScalarType type,
                            const std::vector<int64_t>& sizes);

}  // namespace dnc
