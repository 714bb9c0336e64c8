#include "host/train/saved_weights.h"

#include <string>
#include <utility>

#include "host/weights/weights_file.h"
#include "registry/error.h"

namespace dnc {

namespace fs = std::filesystem;

EvaluatedWeights evaluated_weights(const Checkpoint& checkpoint) {
  const std::string prefix = "ema.average.";
  EvaluatedWeights weights{checkpoint.model};
  for (const auto& item : checkpoint.state) {
    if (!item.key().starts_with(prefix)) continue;
    if (auto* live = weights.tensors.find(item.key().substr(prefix.size()))) {
      *live = item.value();
      weights.averaged = true;
    }
  }
  return weights;
}

ForeignWeights read_weights(const fs::path& path) {
  if (!fs::is_directory(path)) return read_weights_file(path);
  const bool is_run = fs::exists(path / "checkpoints") || fs::exists(path / "config.yaml");
  if (is_run && find_checkpoints(path / "checkpoints").empty()) {
    throw CheckpointError(path.string() +
                          ": the run has no checkpoint yet, so there are no weights to take; train "
                          "it first");
  }
  const auto folder = is_run ? find_best_checkpoint(path / "checkpoints") : path;
  ForeignWeights weights;
  auto evaluated = evaluated_weights(load_checkpoint(folder));
  weights.tensors = std::move(evaluated.tensors);
  weights.format = evaluated.averaged ? "checkpoint, averaged parameters" : "checkpoint";
  if (is_run && !fs::exists(path / "result.json")) weights.format += " of an unfinished run";
  weights.origin = folder.string();
  return weights;
}

}  // namespace dnc
