#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/weights/safetensors.h"

namespace dnc {

/// The weights in a file, of whatever program.
struct ForeignWeights {
  std::string origin;  // the file, for messages
  TensorMap tensors;   // on the CPU; two may share their memory, as in the file
  std::string format;  // "PyTorch", "PyTorch before 1.6", "TorchScript", "safetensors",
                       // "checkpoint", "checkpoint, averaged parameters"
  std::string part;    // what of the file they are: "state_dict"; empty for all of it
  std::vector<std::string> unused;  // what else is there: "optimizer", "meta"
};

/// Reads what torch.save wrote, in the zip format (PyTorch 1.6 and later) or the one before it, and
/// TorchScript archives. Nothing in the file is executed or imported, see Pickle.
///
/// What is looked for is a dict of tensors by name: the file itself, or what it has under
/// `state_dict`, `model` or another usual key. A whole pickled or scripted module is gone through
/// for its parameters and buffers. A prefix `module.` or `_orig_mod.` that all names have
/// (DataParallel, torch.compile) is taken off.
///
/// Throws FileError, and CheckpointError, which begins with the file.
ForeignWeights read_pth(const std::filesystem::path& path);

/// Writes an OrderedDict of tensors in the zip format, or on failure nothing. Python reads it with
/// torch.load(FILE, weights_only=True). Throws FileError, and CheckpointError for a type that the
/// format has no name for.
void write_pth(const std::filesystem::path& path, const TensorMap& tensors);

}  // namespace dnc
