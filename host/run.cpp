#include "host/run.h"

#include "host/train/checkpoint.h"
#include "host/train/runner.h"
#include "host/weights/state.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

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

// The averaged weights in place of the live ones, where the run keeps averages.
TensorMap with_averages(TensorMap model, const TensorMap& state) {
  const std::string prefix = "ema.average.";
  for (const auto& item : state) {
    if (item.key().rfind(prefix, 0) != 0) continue;
    if (auto* live = model.find(item.key().substr(prefix.size()))) *live = item.value();
  }
  return model;
}

}  // namespace

OpenedRun open_run(Program& program, const fs::path& path, const std::string& which,
                   const std::vector<std::string>& overrides) {
  OpenedRun run;
  run.folder = path;
  const bool is_checkpoint = fs::exists(path / "manifest.json");
  if (is_checkpoint) run.folder = fs::absolute(path).lexically_normal().parent_path().parent_path();
  const auto config = run.folder / "config.yaml";
  if (!fs::exists(config)) {
    throw CheckpointError(path.string() + ": is not a run: it has no config.yaml. Give the folder " +
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
  load_state(*run.model, with_averages(checkpoint.model, checkpoint.state),
             (run.checkpoint / "model.safetensors").string());
  run.model->to(run.experiment->device());
  if (run.experiment->options().train.channels_last) run.model->to_channels_last();
  run.model->eval();
  return run;
}

}  // namespace dnc
