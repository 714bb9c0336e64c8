#pragma once

#include <filesystem>

#include "host/weights/pth.h"

namespace dnc {

/// Reads weights wherever they are: the folder of a run (its best checkpoint) or of a checkpoint,
/// or a file, see read_weights_file(). Throws CheckpointError, FileError.
ForeignWeights read_weights(const std::filesystem::path& path);

}  // namespace dnc
