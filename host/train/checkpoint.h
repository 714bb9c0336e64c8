#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/weights/safetensors.h"

namespace dnc {

/// The best evaluation so far.
struct Best {
  std::string metric;  // "top1"
  double value = 0;
  int64_t step = 0;

  bool operator==(const Best&) const = default;
};

/// How far a run has come: all that a resumed run needs beside its tensors.
struct Progress {
  int64_t step = 0;           // optimizer steps done
  int64_t epoch = 0;          // epochs done
  int64_t batch = 0;          // batches of the current epoch that were trained on (not: prefetched)
  std::optional<Best> best;   // none before the first evaluation
  int64_t stale = 0;          // evaluations since then that were not better
  double seconds = 0;         // of training, in all processes of the run
  uint64_t seed = 0;          // of the sample order and of all random numbers
  int64_t batch_size = 0;     // samples per step, over all ranks
  int64_t world_size = 1;     // ranks
  std::string config_digest;  // RunFolder::config_digest()

  bool operator==(const Progress&) const = default;
};

std::string to_json(const Progress& progress);
/// Strict: each key is there, no other is, and each has its type. Throws CheckpointError that
/// begins with `origin`.
Progress progress_from_json(const std::string& text, const std::string& origin);

/// What a run needs to go on as if nothing had happened.
struct Checkpoint {
  TensorMap model;  // parameters and buffers, see state_of()
  TensorMap state;  // optimizer, averages of the weights, gradient scaler
  Progress progress;
};

/// A checkpoint on disk is a folder `step_00000391` with
///   model.safetensors  Checkpoint::model, for any program
///   state.safetensors  Checkpoint::state
///   progress.json      Checkpoint::progress
///   manifest.json      length and CRC-32 of each of these
/// It appears under its name only when all of it is on the disk.

/// The folder of a step inside the folder of all checkpoints.
std::filesystem::path checkpoint_path(const std::filesystem::path& checkpoints, int64_t step);

/// The checkpoints that are there, good or bad, newest first. None where there is no such folder.
std::vector<std::filesystem::path> find_checkpoints(const std::filesystem::path& checkpoints);

/// Saves, and then removes what is no longer needed: all but the `keep` newest (at least 1) and the
/// best. Those of later steps go too: the run that made them was taken up from before them. The
/// link `best` beside the checkpoints points at the best one, if that was saved. Returns the new
/// folder. Throws CheckpointError where it cannot be saved, with the room that it needs and that
/// there is; the checkpoints before it are untouched then.
std::filesystem::path save_checkpoint(const std::filesystem::path& checkpoints,
                                      const Checkpoint& checkpoint, int64_t keep);

/// Reads one checkpoint whole, verified by its manifest. Throws CheckpointError, which begins with
/// the file, for one that is missing, cut short, changed, or of another program.
Checkpoint load_checkpoint(const std::filesystem::path& folder);
/// Only its progress, verified too.
Progress load_checkpoint_progress(const std::filesystem::path& folder);

/// A checkpoint and where it was found.
struct FoundCheckpoint {
  std::filesystem::path folder;
  Checkpoint checkpoint;
};

/// The newest good checkpoint; none where there is none at all. `warn` is told of each newer one
/// that is damaged, and why. Throws CheckpointError, with all reasons, where none is good.
std::optional<FoundCheckpoint> load_newest_checkpoint(
    const std::filesystem::path& checkpoints, const std::function<void(const std::string&)>& warn);

/// The folder of the best checkpoint according to the newest good one; the newest good one itself
/// where nothing was evaluated, or not saved then. Throws CheckpointError where there is none.
std::filesystem::path find_best_checkpoint(const std::filesystem::path& checkpoints);

}  // namespace dnc
