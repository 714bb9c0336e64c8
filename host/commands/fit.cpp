#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/environment.h"
#include "host/frozen/fit_prototypes.h"
#include "host/report/run_result.h"
#include "host/run.h"
#include "host/train/checkpoint.h"
#include "host/train/evaluate.h"
#include "host/train/result.h"
#include "host/train/run_folder.h"
#include "host/train/runner.h"
#include "host/weights/state.h"
#include "registry/communicator.h"
#include "registry/config.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct FitCommand {
  ModelSource source;
  std::string folder;
  std::string transforms = "test";
  FitOptions options;

  int run() {
    if (fs::is_directory(source.path)) {
      throw ConfigError(source.path +
                        ": is a folder; fit is for a config. The weights of a run go "
                        "into it with --weights " +
                        source.path);
    }
    const auto begin = std::chrono::steady_clock::now();
    Program program;
    auto opened = open_model(program, source, NeededWeights::kBackbone);
    auto& experiment = *opened.experiment;
    check(experiment, *opened.model);
    if (folder.empty()) folder = "runs/" + fs::path(source.path).stem().string() + "_fit";
    const auto device = experiment.device();
    RunFolder run_folder(folder, config_text(experiment), environment_json(device));
    if (fs::exists(run_folder.path() / "result.json")) {
      std::cout << folder << ": done already\n";
      return 0;
    }
    say(run_folder, opened.note);
    run_folder.metrics().rewind(-1);
    write_classes(run_folder.path() / "classes.json", experiment.classes(), experiment.task());

    fit(experiment, *opened.model, run_folder);
    save(experiment, *opened.model, run_folder);
    auto result = test(experiment, *opened.model, run_folder);
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    write_result(run_folder.path() / "result.json", result);
    run_folder.metrics().append_end(0, "done");
    say(run_folder, folder + ": done");
    return 0;
  }

  void check(Experiment& experiment, Model& model) const {
    if (experiment.task() != Task::kImages) {
      throw ConfigError(source.path + ": is a model for pixels; fit is for images");
    }
    if (!model.prototypes()) {
      experiment.options().model.head.node().fail(
          "has no prototypes to fill: fit is for a head that classifies by its nearest prototypes. "
          "Name another one (`dnc-host list head`), or train this one with `dnc-host train`");
    }
  }

  // The first line keeps `train`, and a fit with other options, from going on in this folder.
  std::string config_text(const Experiment& experiment) const {
    return fmt::format("# By dnc-host fit --transforms {} --iterations {} --memory {}\n{}",
                       transforms, options.iterations, options.memory,
                       to_yaml(experiment.resolved()));
  }

  static void say(RunFolder& run_folder, const std::string& text) {
    std::cout << text << std::endl;
    run_folder.log(text);
  }

  void fit(Experiment& experiment, Model& model, RunFolder& run_folder) const {
    auto data = experiment.split("train");
    if (transforms == "test") data.transforms = experiment.test_transforms();
    FitResult found;
    {
      BatchProgress line("embeddings");
      found = fit_prototypes(model, data, experiment.options(), experiment.device(), options,
                             [&](int64_t done, int64_t all) { line.update(done, all); });
    }
    if (!found.bad_samples.empty()) {
      say(run_folder, "warning: " + bad_samples_text("train", found.bad_samples));
    }
    for (const auto label : found.empty_classes) {
      say(run_folder, fmt::format("warning: class '{}' has no sample: its prototypes stay random",
                                  experiment.classes().names[static_cast<size_t>(label)]));
    }
    if (found.left_out > 0) {
      say(run_folder, fmt::format("{} samples were drawn and {} left out, to store {:.4g} GiB at "
                                  "most (--memory)",
                                  found.samples, found.left_out, options.memory));
    }
    const auto shape = model.prototypes()->prototypes().sizes().vec();
    say(run_folder,
        fmt::format("{} classes with {} prototypes each from {} samples; mean cosine of "
                    "a sample with the nearest of its class {:.4f}",
                    shape[0], shape[1], found.samples, found.mean_cosine));
  }

  static void save(const Experiment& experiment, const Model& model, const RunFolder& run_folder) {
    Progress progress;
    progress.seed = static_cast<uint64_t>(experiment.options().seed);
    progress.batch_size = experiment.options().data.batch_size;
    progress.config_digest = run_folder.config_digest();
    const Checkpoint checkpoint{state_of(model), TensorMap(), progress};
    save_checkpoint(run_folder.checkpoints(), checkpoint, 1);
  }

  report::RunResult test(Experiment& experiment, Model& model, RunFolder& run_folder) const {
    const auto device = experiment.device();
    const auto& options = experiment.options();
    auto result = result_of(model, options, device, source.path);
    result.name += "_fit";  // in a comparison the same config may be there as a training
    result.learnable_parameters = 0;
    result.steps = 0;
    result.epochs = 0;
    if (!experiment.has_split("test")) return result;
    SingleProcess alone;
    const auto loader = evaluation_loader(experiment.split("test"), options.data,
                                          static_cast<uint64_t>(options.seed), alone);
    const auto found = evaluate(model, *loader, "test", experiment.build_metrics(), device,
                                options.train.precision, alone);
    if (!loader->bad_samples().empty()) {
      say(run_folder, "warning: " + bad_samples_text("test", loader->bad_samples()));
    }
    result.split = found.split;
    result.figures = found.figures;
    result.tables = found.tables;
    report::EvaluationEvent event;
    event.split = found.split;
    event.epoch = 0;
    event.figures = found.figures;
    event.prototypes = result.prototype_figures;
    run_folder.metrics().append(event);
    std::string text = "test";
    for (const auto& [name, value] : found.figures) text += fmt::format("  {} {:.4f}", name, value);
    say(run_folder, text);
    return result;
  }
};

}  // namespace

void add_fit(CLI::App& app, Action& action) {
  auto command = std::make_shared<FitCommand>();
  auto* sub = app.add_subcommand(
      "fit",
      "Fill the prototypes of a head from the data, without training: nearest centroids of a "
      "frozen backbone");
  sub->add_option("config", command->source.path, "The config; its load_from has the backbone")
      ->required()
      ->type_name("CONFIG");
  sub->add_option("-o,--work-dir", command->folder, "Folder of the run (default runs/<config>_fit)")
      ->type_name("DIR");
  sub->add_option(
         "--weights", command->source.weights,
         "In place of load_from: a run, or a file of PyTorch, torchvision, timm, mmcls, ...")
      ->type_name("FILE");
  sub->add_option("--transforms", command->transforms,
                  "What the training images go through: the transforms of the test split, or their "
                  "own")
      ->check(CLI::IsMember({"test", "train"}))
      ->capture_default_str();
  sub->add_option("--iterations", command->options.iterations,
                  "Of the clustering, at most, where a class has several prototypes")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}))
      ->capture_default_str();
  sub->add_option("--memory", command->options.memory,
                  "GiB of embeddings that are stored for it; of more samples some are drawn")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_overrides(*sub, command->source.overrides);
  sub->footer(
      example("  dnc-host fit configs/imagenet/resnet50_dnc.yaml --weights resnet50.pth\n"
              "The folder is one of a run: dnc-host test, predict and compare take it."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
