#pragma once

#include <filesystem>
#include <memory>

#include "host/report/tensorboard.h"
#include "host/train/pictures.h"
#include "registry/fields.h"
#include "registry/hook.h"

namespace dnc {

/// Writes losses, lr, evaluations and pictures as events for TensorBoard into the run's folder.
class TensorBoardHook final : public Hook, public PictureWatcher {
 public:
  struct Options {
    int64_t every = 50;
    int64_t images = 9;
    void fields(Fields& f);
  };
  explicit TensorBoardHook(const Options& options) : options_(options) {}

  void before_run(RunState& state) override;
  void after_step(RunState& state) override;
  void after_evaluation(RunState& state, const Evaluation& evaluation) override;
  void after_run(RunState& state) override;
  int64_t images() const override { return options_.images; }
  void after_picture(const RunState& state, const std::string& name, const Image& picture) override;

 private:
  Options options_;
  std::unique_ptr<TensorBoardWriter> writer_;
};

/// Appends the mass of every prototype to prototypes.jsonl at each evaluation, {"step": ...,
/// "mass": [[...], ...]}: how the sub-centroids of a class share its samples over the run.
class PrototypeMassHook final : public Hook {
 public:
  void before_run(RunState& state) override;
  void after_evaluation(RunState& state, const Evaluation& evaluation) override;
};

/// Ends the run in order, with a checkpoint, once a file called `stop` is in its folder: for those
/// who can write there, but cannot signal the process.
class StopFileHook final : public Hook {
 public:
  void before_run(RunState& state) override;
  void after_step(RunState& state) override;
};

}  // namespace dnc
