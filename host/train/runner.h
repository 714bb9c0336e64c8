#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "host/experiment.h"
#include "host/parallel/ranks.h"
#include "host/report/progress.h"
#include "host/report/run_record.h"
#include "host/train/checkpoint.h"
#include "host/train/evaluate.h"
#include "host/train/pictures.h"
#include "host/train/read_back.h"
#include "host/train/run_folder.h"
#include "host/train/step.h"
#include "registry/hook.h"

namespace dnc {

/// How a run ended.
struct RunEnd {
  std::string reason;  // "done", "early stop: ...", "time limit", "signal", or a hook's words
  int signal = 0;      // that stopped it
};

/// Trains one experiment in one folder, from its newest checkpoint on if it has one. A run that is
/// killed and resumed ends with the same tensors, bit for bit, as one that was not: the order of
/// samples, their augmentation and the numbers drawn in a step are functions of the seed and the
/// step, and a checkpoint holds all the rest.
///
/// With several ranks all run this loop side by side. Rank 0 alone touches the folder, prints, and
/// has hooks; what it reads of a checkpoint it sends to the others, so any number of ranks goes on
/// from what any other number has saved. All decide the same: to stop, what is the best evaluation,
/// what is damaged beyond use.
class Runner {
 public:
  /// Builds everything; throws before anything is trained. `name` is the config, for messages.
  Runner(Experiment& experiment, const std::filesystem::path& folder, std::string name,
         Ranks& ranks, std::ostream& out);

  /// Every so many steps the ranks compare their weights, and the run ends where they differ.
  void check_ranks_every(int64_t steps) { check_every_ = steps; }

  RunEnd run();

 private:
  using Clock = std::chrono::steady_clock;

  // A step whose losses the device may not have computed yet.
  struct Pending {
    int64_t step;  // that it was, from 0
    ReadBack losses;
  };

  void resume();
  bool load_newest();
  void share_state(bool found);
  void share_batch_statistics();
  void check_ranks();
  void start();
  void run_epoch();
  ReadBack take_step();
  void after_step(ReadBack losses, double seconds);
  void read_back();
  void log_train();
  void show_progress();
  bool anchors_due() const;
  void anchor_now();
  void evaluate_now();
  void remember_best(const Evaluation& evaluation);
  bool is_best_now() const;
  void note_bad_samples(const std::string& split, const Loader& loader);
  void stop_if_stale();
  void save_now();
  bool should_stop();
  std::string own_reason_to_stop() const;
  void begin_exchange();
  void end_exchange();
  void finish(const std::string& reason);
  report::RunResult result();
  Evaluation test();
  void write_report();
  Evaluation evaluate_split(const std::string& split, const UseBatch& also_use = {});
  bool due(const Every& every) const;
  double epoch_now() const;
  double seconds_in_all() const;

  Experiment& experiment_;
  const ExperimentOptions& options_;
  std::string name_;
  Ranks& communicator_;
  torch::Device device_;
  std::shared_ptr<Model> model_;
  std::unique_ptr<TrainStep> step_;
  std::unique_ptr<Loader> loader_;
  std::vector<std::shared_ptr<Metric>> metrics_;
  std::vector<std::shared_ptr<Hook>> hooks_;
  Pictures pictures_;
  int64_t steps_per_epoch_;
  int64_t steps_;
  RunFolder folder_;
  report::ProgressLine line_;

  Progress progress_;
  RunState state_;
  std::optional<Pending> pending_;
  std::optional<Evaluation> last_evaluation_;
  std::vector<double> step_seconds_;
  std::vector<std::pair<std::string, double>> loss_sums_;  // since the last line of the log
  int64_t loss_count_ = 0;
  double log_seconds_ = 0;
  double waited_ = 0;
  size_t bad_noted_ = 0;      // damaged samples of the training data that the log has
  bool saved_ = false;        // the state as it is now
  bool stop_agreed_ = false;  // all ranks know that the run stops now
  int64_t bad_shared_ = 0;    // damaged samples that all ranks know of
  int64_t check_every_ = 0;   // steps; 0 for never
  Clock::time_point start_;
  double seconds_before_ = 0;  // in earlier processes
};

/// How the training data of a config is loaded.
LoaderOptions train_loader_options(const ExperimentOptions& options, torch::Device device,
                                   const Communicator& communicator);

/// What a run needs to know of its classes when its data is not there: classes.json.
void write_classes(const std::filesystem::path& file, const ClassInfo& classes, Task task);
/// Throws CheckpointError, beginning with the file.
std::pair<ClassInfo, Task> read_classes(const std::filesystem::path& file);

}  // namespace dnc
