#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "registry/export.h"
#include "registry/metric.h"

namespace dnc {

class Prototypes;

/// How far a run is, as its hooks see it.
struct RunState {
  std::filesystem::path folder;  // the run's folder; hooks may write files of their own into it
  int64_t step = 0;              // optimizer steps done
  int64_t steps = 0;             // steps in all
  int64_t epoch = 0;             // epochs done
  int64_t epochs = 0;            // in all, rounded up
  int64_t steps_per_epoch = 0;
  double lr = 0;
  double seconds = 0;  // of training in this process
  std::vector<std::pair<std::string, double>> losses;  // of the last step that was read back
  const Prototypes* prototypes = nullptr;              // of the head, where it has them
  std::string stop_reason;                             // set by a hook to end the run in order
};

/// What an evaluation found.
struct Evaluation {
  std::string split;  // "val", "test"
  std::vector<std::pair<std::string, double>> figures;
  std::vector<Table> tables;
};

/// Watches a run at seven points. Hooks do not train: the loop in host/train/runner.cpp does.
class DNC_EXPORT Hook {
 public:
  virtual ~Hook();
  virtual void before_run(RunState&) {}
  virtual void before_epoch(RunState&) {}
  virtual void after_step(RunState&) {}
  virtual void after_epoch(RunState&) {}
  virtual void after_evaluation(RunState&, const Evaluation&) {}
  virtual void after_save(RunState&, const std::filesystem::path& /*checkpoint*/) {}
  virtual void after_run(RunState&) {}
};

}  // namespace dnc
