#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/frozen/fit_prototypes.h"
#include "host/run.h"
#include "host/train/derived_run.h"
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
    Program program;
    auto opened = open_model(program, source, NeededWeights::kBackbone);
    auto& experiment = *opened.experiment;
    check(experiment, *opened.model);
    if (folder.empty()) folder = "runs/" + fs::path(source.path).stem().string() + "_fit";
    DerivedRun run(folder, experiment,
                   fmt::format("fit --transforms {} --iterations {} --memory {}", transforms,
                               options.iterations, options.memory));
    if (run.is_done()) {
      std::cout << folder << ": done already\n";
      return 0;
    }
    run.begin();
    run.say(opened.note);
    fit(experiment, *opened.model, run);
    run.save(*opened.model, 0, 0);
    const auto tested = run.test(*opened.model);
    if (!tested.split.empty()) run.say("test  " + figures_text(tested.figures));
    // In a comparison the same config may be there as a training.
    run.finish(*opened.model, source.path, fs::path(source.path).stem().string() + "_fit", tested);
    return 0;
  }

  void check(Experiment& experiment, Model& model) const {
    if (!model.prototypes()) {
      experiment.options().model.head.node().fail(
          "has no prototypes to fill: fit is for a head that classifies by its nearest prototypes. "
          "Name another one (`dnc-host list head`), or train this one with `dnc-host train`");
    }
  }

  void fit(Experiment& experiment, Model& model, DerivedRun& run) const {
    auto data = experiment.split("train");
    if (transforms == "test") data.transforms = experiment.test_transforms();
    FitResult found;
    {
      BatchProgress line("embeddings");
      found = fit_prototypes(model, data, experiment.options(), experiment.device(), options,
                             [&](int64_t done, int64_t all) { line.update(done, all); });
    }
    if (!found.bad_samples.empty()) {
      run.say("warning: " + bad_samples_text("train", found.bad_samples));
    }
    for (const auto label : found.empty_classes) {
      run.say(fmt::format("warning: class '{}' has no sample: its prototypes stay random",
                          experiment.classes().names[static_cast<size_t>(label)]));
    }
    if (found.left_out > 0) {
      run.say(
          fmt::format("{} samples were drawn and {} left out, to store {:.4g} GiB at "
                      "most (--memory)",
                      found.samples, found.left_out, options.memory));
    }
    const auto shape = model.prototypes()->prototypes().sizes().vec();
    const std::string of = experiment.task() == Task::kPixels ? "pixel" : "sample";
    run.say(
        fmt::format("{} classes with {} prototypes each from {} {}s; mean cosine of "
                    "a {} with the nearest of its class {:.4f}",
                    shape[0], shape[1], found.samples, of, of, found.mean_cosine));
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
              "  dnc-host fit configs/camvid/fcn_mobilenet_v2_dnc_k1.yaml --weights RUN\n"
              "The folder is one of a run: dnc-host test, predict and compare take it."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
