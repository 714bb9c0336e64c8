#include "host/train/derived_run.h"

#include <fmt/format.h>

#include <iostream>

#include "host/environment.h"
#include "host/report/format.h"
#include "host/report/run_result.h"
#include "host/train/checkpoint.h"
#include "host/train/result.h"
#include "host/train/runner.h"
#include "host/weights/state.h"
#include "registry/communicator.h"
#include "registry/config.h"

namespace dnc {

namespace fs = std::filesystem;

DerivedRun::DerivedRun(const fs::path& folder, Experiment& experiment, const std::string& made_by)
    : experiment_(experiment),
      folder_(folder,
              "# By dnc-host " + report::printable(made_by) + "\n" + to_yaml(experiment.resolved()),
              environment_json(experiment.device())) {}

bool DerivedRun::is_done() const { return fs::exists(path() / "result.json"); }

void DerivedRun::begin() {
  folder_.metrics().rewind(-1);
  write_classes(path() / "classes.json", experiment_.classes(), experiment_.task());
}

void DerivedRun::say(const std::string& text) {
  std::cout << text << std::endl;
  folder_.log(text);
}

void DerivedRun::save(const Model& model, int64_t step, int64_t epoch) {
  step_ = step;
  epoch_ = epoch;
  Progress progress;
  progress.step = step;
  progress.epoch = epoch;
  progress.seed = static_cast<uint64_t>(experiment_.options().seed);
  progress.batch_size = experiment_.options().data.batch_size;
  progress.config_digest = folder_.config_digest();
  save_checkpoint(folder_.checkpoints(), {state_of(model), TensorMap(), progress}, 1);
}

Evaluation DerivedRun::test(Model& model, const UseBatch& also_use) {
  if (!experiment_.has_split("test")) return {};
  const auto warn = [this](const std::string& what) { say("warning: " + what); };
  return evaluate_split(experiment_, model, "test", warn, also_use);
}

void DerivedRun::finish(Model& model, const std::string& config, const std::string& name,
                        const Evaluation& tested) {
  auto result = result_of(model, experiment_.options(), experiment_.device(), config);
  result.name = name;
  if (step_ == 0) result.learnable_parameters = 0;  // nothing was learned
  result.steps = static_cast<double>(step_);
  result.epochs = static_cast<double>(epoch_);
  result.split = tested.split;
  result.figures = tested.figures;
  result.tables = tested.tables;
  if (!tested.split.empty()) {
    report::EvaluationEvent event;
    event.split = tested.split;
    event.step = step_;
    event.epoch = static_cast<double>(epoch_);
    event.figures = tested.figures;
    event.prototypes = result.prototype_figures;
    folder_.metrics().append(event);
  }
  const auto now = std::chrono::steady_clock::now();
  result.seconds = std::chrono::duration<double>(now - start_).count();
  write_result(path() / "result.json", result);
  folder_.metrics().append_end(step_, "done");
  say(path().string() + ": done");
}

Evaluation evaluate_split(Experiment& experiment, Model& model, const std::string& split,
                          const std::function<void(const std::string&)>& warn,
                          const UseBatch& also_use) {
  const auto& options = experiment.options();
  SingleProcess alone;
  const auto loader = evaluation_loader(experiment.split(split), options.data,
                                        static_cast<uint64_t>(options.seed), alone);
  Views views;
  views.inference = options.model.inference;
  auto found = evaluate(model, *loader, split, experiment.build_metrics(), experiment.device(),
                        options.train.precision, alone, views, also_use);
  if (!loader->bad_samples().empty()) warn(bad_samples_text(split, loader->bad_samples()));
  return found;
}

std::string figures_text(const report::Figures& figures) {
  std::string text;
  for (const auto& [name, value] : figures) {
    text += fmt::format("{}{} {:.4f}", text.empty() ? "" : "  ", name, value);
  }
  return text;
}

}  // namespace dnc
