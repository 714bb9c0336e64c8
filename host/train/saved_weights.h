#pragma once

#include <filesystem>

#include "host/train/checkpoint.h"
#include "host/weights/pth.h"

namespace dnc {

/// The weights that a checkpoint is evaluated with: those of the model, each parameter replaced by
/// its moving average where the run keeps averages.
struct EvaluatedWeights {
  TensorMap tensors;  // as Checkpoint::model
  bool averaged = false;
};
EvaluatedWeights evaluated_weights(const Checkpoint& checkpoint);

/// Reads weights wherever they are: the folder of a run (its best checkpoint) or of a checkpoint,
/// see evaluated_weights(), or a file, see read_weights_file(). Of a run that has no result yet the
/// `format` says so. Throws CheckpointError, FileError.
ForeignWeights read_weights(const std::filesystem::path& path);

}  // namespace dnc
