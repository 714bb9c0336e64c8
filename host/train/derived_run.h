#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "host/experiment.h"
#include "host/model.h"
#include "host/report/run_record.h"
#include "host/train/evaluate.h"
#include "host/train/run_folder.h"

namespace dnc {

/// The folder of a run whose model was made without training, from a config or another run: the
/// same files as one that was trained, so that test, predict, explain, export and compare take it.
class DerivedRun {
 public:
  /// `made_by` is the command that makes it, the first line of config.yaml as a comment: it keeps
  /// `train`, and the same command with other options, from going on in this folder. Throws Error
  /// as RunFolder does.
  DerivedRun(const std::filesystem::path& folder, Experiment& experiment,
             const std::string& made_by);

  const std::filesystem::path& path() const { return folder_.path(); }
  /// It was finished before.
  bool is_done() const;
  /// Begins it: classes.json, and an empty log.
  void begin();
  /// On standard output and in log.txt.
  void say(const std::string& text);
  /// The one checkpoint, of the step and epoch that the weights were trained to; 0 for not at all.
  void save(const Model& model, int64_t step, int64_t epoch);
  /// All figures of the test split; none where the config has none. Tells of damaged samples.
  Evaluation test(Model& model, const UseBatch& also_use = {});
  /// Writes result.json with the figures `tested`. `name` is what a comparison calls the run.
  void finish(Model& model, const std::string& config, const std::string& name,
              const Evaluation& tested);

 private:
  Experiment& experiment_;
  RunFolder folder_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t step_ = 0;
  int64_t epoch_ = 0;
};

/// All figures of a split of an experiment, as a test of it gives them. `warn` is told of damaged
/// samples.
Evaluation evaluate_split(Experiment& experiment, Model& model, const std::string& split,
                          const std::function<void(const std::string&)>& warn,
                          const UseBatch& also_use = {});

/// "accuracy/top1 0.8912  f1 0.8904"
std::string figures_text(const report::Figures& figures);

}  // namespace dnc
