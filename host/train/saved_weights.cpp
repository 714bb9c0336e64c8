#include "host/train/saved_weights.h"

#include "host/train/checkpoint.h"
#include "host/weights/weights_file.h"

namespace dnc {

namespace fs = std::filesystem;

ForeignWeights read_weights(const fs::path& path) {
  if (!fs::is_directory(path)) return read_weights_file(path);
  const bool is_run = fs::exists(path / "checkpoints");
  const auto folder = is_run ? find_best_checkpoint(path / "checkpoints") : path;
  ForeignWeights weights;
  weights.tensors = load_checkpoint_model(folder);
  weights.format = "checkpoint";
  weights.origin = folder.string();
  return weights;
}

}  // namespace dnc
