#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/model.h"
#include "host/program.h"

namespace dnc {

/// A model with its weights, opened to be tested, asked or compared.
struct OpenedRun {
  std::filesystem::path folder;      // of the run; empty for a config
  std::filesystem::path checkpoint;  // or file that the weights come from
  int64_t step = 0;                  // that it was made at
  std::unique_ptr<Experiment> experiment;
  std::shared_ptr<Model> model;  // on the experiment's device, in evaluation mode
  std::string note;              // for a config: what its weights are, see start_from_weights()
};

/// Opens a run's folder, or one checkpoint inside it. `which` is "best", "newest", or a
/// checkpoint's folder. A run that averages its weights gives the averages. Needs no training data.
/// Throws ConfigError, CheckpointError.
OpenedRun open_run(Program& program, const std::filesystem::path& path, const std::string& which,
                   const std::vector<std::string>& overrides);

/// Lays the model out to be asked: on the device of the experiment, in the layout that it trains
/// with, in evaluation mode.
void make_ready(OpenedRun& run);

/// What a command line names: a run, or a config with weights of whatever program.
struct ModelSource {
  std::string path;                 // folder of a run or of one of its checkpoints, or a config
  std::string checkpoint = "best";  // of a run: see open_run()
  std::string weights;              // of a config: in place of its load_from
  std::string classes;              // of a config: file of class names, in place of its data's
  std::vector<std::string> overrides;
};

/// What its weights must bring: all of the model, or what a training starts with, where the head
/// may stay as the seed makes it. Without any the first is an error, the second told in the note.
enum class NeededWeights { kModel, kBackbone };

/// Opens a run as open_run() does, or builds a config's model and loads its weights. Of a config
/// the classes come from its data, or from `classes`: a text file with a name in each line, or the
/// classes.json of a run; then no data is needed. Throws ConfigError, CheckpointError, DataError.
OpenedRun open_model(Program& program, const ModelSource& source, NeededWeights needed);

}  // namespace dnc
