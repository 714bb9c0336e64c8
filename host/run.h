#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/model.h"
#include "host/program.h"

namespace dnc {

/// A finished or running run, opened to be tested, asked or compared.
struct OpenedRun {
  std::filesystem::path folder;      // of the run
  std::filesystem::path checkpoint;  // that the weights come from
  int64_t step = 0;                  // that it was made at
  std::unique_ptr<Experiment> experiment;
  std::shared_ptr<Model> model;  // on the experiment's device, in evaluation mode
};

/// Opens a run's folder, or one checkpoint inside it. `which` is "best", "newest", or a checkpoint's
/// folder. A run that averages its weights gives the averages. Needs no training data. Throws
/// ConfigError, CheckpointError.
OpenedRun open_run(Program& program, const std::filesystem::path& path, const std::string& which,
                   const std::vector<std::string>& overrides);

}  // namespace dnc
