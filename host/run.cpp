#include "host/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "host/files.h"
#include "host/train/checkpoint.h"
#include "host/train/runner.h"
#include "host/train/saved_weights.h"
#include "host/weights/initial_weights.h"
#include "host/weights/state.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxClassNames = 64 << 20;  // bytes of a file

fs::path find_checkpoint(const fs::path& run, const std::string& which) {
  const auto folder = run / "checkpoints";
  if (which == "best") return find_best_checkpoint(folder);
  if (which == "newest") {
    const auto all = find_checkpoints(folder);
    if (all.empty()) throw CheckpointError(folder.string() + ": there is no checkpoint");
    return all.front();
  }
  const fs::path inside = folder / which;
  if (fs::is_directory(inside)) return inside;
  if (fs::is_directory(which)) return which;
  throw CheckpointError(which + ": no such checkpoint; give best, newest, or one of those in " +
                        folder.string());
}

// A name in each line; empty lines do not count.
ClassInfo read_class_names(const fs::path& file) {
  ClassInfo classes;
  std::istringstream lines(read_file(file, kMaxClassNames));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) classes.names.push_back(line);
  }
  if (classes.names.empty()) {
    throw DataError(file.string() + ": has no class names; expected one in each line");
  }
  return classes;
}

// `load_from` with a path of the command line, whatever characters it has.
std::string load_from_override(const std::string& weights) {
  std::string quoted;
  for (const char c : weights) quoted += c == '\'' ? "''" : std::string(1, c);
  return "load_from='" + quoted + "'";
}

// Copies the weights that the config names into the model, and notes what was done.
void load_weights(OpenedRun& run, const ModelSource& source, NeededWeights needed) {
  const auto& options = run.experiment->options();
  if (options.load_from.empty()) {
    if (needed == NeededWeights::kModel) {
      throw ConfigError(source.path +
                        ": has no weights: give --weights FILE, or load_from in the config");
    }
    run.note = "warning: " + source.path +
               ": has no load_from: the weights of the backbone are random; give --weights FILE";
    return;
  }
  const auto weights = read_weights(options.load_from.value);
  run.checkpoint = weights.origin;
  run.note =
      start_from_weights(state_of(*run.model), weights, options.load_allow,
                         needed == NeededWeights::kModel ? LoadPart::kModel : options.load_part);
}

}  // namespace

void make_ready(OpenedRun& run) {
  run.model->to(run.experiment->device());
  if (run.experiment->options().train.channels_last) run.model->to_channels_last();
  run.model->eval();
}

OpenedRun open_run(Program& program, const fs::path& path, const std::string& which,
                   const std::vector<std::string>& overrides) {
  OpenedRun run;
  run.folder = path;
  const bool is_checkpoint = fs::exists(path / "manifest.json");
  if (is_checkpoint) run.folder = fs::absolute(path).lexically_normal().parent_path().parent_path();
  const auto config = run.folder / "config.yaml";
  if (!fs::exists(config)) {
    throw CheckpointError(path.string() +
                          ": is not a run: it has no config.yaml. Give the folder " +
                          "that `dnc-host train` wrote.");
  }
  run.checkpoint = is_checkpoint ? path : find_checkpoint(run.folder, which);
  run.experiment = program.experiment(config.string(), overrides);
  apply_machine_options(run.experiment->options());
  auto [classes, task] = read_classes(run.folder / "classes.json");
  run.experiment->set_classes(std::move(classes), task);

  const auto checkpoint = load_checkpoint(run.checkpoint);
  run.step = checkpoint.progress.step;
  run.model = run.experiment->build_model();
  load_state(*run.model, evaluated_weights(checkpoint).tensors,
             (run.checkpoint / "model.safetensors").string());
  make_ready(run);
  return run;
}

OpenedRun open_model(Program& program, const ModelSource& source, NeededWeights needed) {
  if (!fs::is_regular_file(source.path)) {
    for (const auto* option : {&source.weights, &source.classes}) {
      if (option->empty()) continue;
      throw ConfigError(
          fmt::format("{}: is no config; --weights and --classes are for a config, a run has both",
                      source.path));
    }
    return open_run(program, source.path, source.checkpoint, source.overrides);
  }
  auto overrides = source.overrides;
  if (!source.weights.empty()) overrides.push_back(load_from_override(source.weights));
  OpenedRun run;
  run.experiment = program.experiment(source.path, overrides);
  apply_machine_options(run.experiment->options());
  if (source.classes.ends_with(".json")) {
    auto [classes, task] = read_classes(source.classes);
    run.experiment->set_classes(std::move(classes), task);
  } else if (!source.classes.empty()) {
    run.experiment->set_classes(read_class_names(source.classes), Task::kImages);
  }
  run.model = run.experiment->build_model();
  load_weights(run, source, needed);
  make_ready(run);
  return run;
}

}  // namespace dnc
