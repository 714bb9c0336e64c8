#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "host/commands/batch_progress.h"
#include "host/commands/commands.h"
#include "host/commands/new_run.h"
#include "host/explain/anchors.h"
#include "host/files.h"
#include "host/train/checkpoint.h"
#include "host/train/derived_run.h"
#include "registry/communicator.h"
#include "registry/error.h"
#include "registry/prototypes.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct AnchorCommand {
  NewRun new_run;

  int run() {
    Program program;
    auto opened = open_run(program, new_run.source, new_run.checkpoint, new_run.overrides);
    auto& experiment = *opened.experiment;
    auto& model = *opened.model;
    if (!model.prototypes()) {
      experiment.options().model.head.node().fail(
          "has no sub-centroids that could become training images: anchor is for a head that "
          "classifies by its nearest prototypes (`dnc-host list head`)");
    }
    DerivedRun run(new_run.folder(opened, "_anchored"), experiment,
                   "anchor " + opened.checkpoint.string());
    if (run.is_done()) {
      std::cout << run.path().string() << ": done already\n";
      return 0;
    }
    run.begin();
    const auto before = test(run, opened);
    auto anchors = anchor(opened, run);
    const auto after = test(run, opened);
    report(run, opened, anchors, before, after);
    run.save(model, opened.step, load_checkpoint_progress(opened.checkpoint).epoch);
    keep_for_explain(run, opened, std::move(anchors));
    run.finish(model, new_run.source, fs::path(run.path()).filename().string(), after);
    return 0;
  }

  static Evaluation test(DerivedRun& run, OpenedRun& opened) {
    if (!opened.experiment->has_split("test")) return {};
    std::cerr << "test ..." << std::endl;
    return run.test(*opened.model);
  }

  static Anchors anchor(OpenedRun& opened, DerivedRun& run) {
    auto& experiment = *opened.experiment;
    auto data = experiment.split("train");
    data.transforms = experiment.test_transforms();
    SingleProcess alone;
    auto anchors = [&] {
      BatchProgress line("training data");
      return anchor_prototypes(*opened.model, data, experiment.options(), experiment.device(),
                               alone, [&](int64_t done, int64_t all) { line.update(done, all); });
    }();
    if (!anchors.bad_samples.empty()) {
      run.say("warning: " + bad_samples_text("train", anchors.bad_samples));
    }
    return anchors;
  }

  static void report(DerivedRun& run, OpenedRun& opened, const Anchors& anchors,
                     const Evaluation& before, const Evaluation& after) {
    auto& experiment = *opened.experiment;
    const auto all = anchors.samples.nearest.samples.numel();
    run.say(
        fmt::format("{} of {} sub-centroids are training images now, found among {}; "
                    "similarity {:.4f} in the mean, {:.4f} at least",
                    anchors.count(), all, anchors.samples.searched, anchors.mean_similarity(),
                    anchors.least_similarity()));
    if (anchors.count() < all) {
      run.say(
          fmt::format("warning: {} stay as they were: their classes have fewer training images "
                      "than sub-centroids; {} names them",
                      all - anchors.count(), (run.path() / "anchors.json").string()));
    }
    std::vector<std::pair<std::string, report::Figures>> figures;
    if (!before.split.empty()) {
      run.say("on '" + before.split + "':\n" + before_and_after(before.figures, after.figures));
      figures = {{"before", before.figures}, {"after", after.figures}};
    }
    write_file(run.path() / "anchors.json",
               to_json(anchors, experiment.classes(), experiment.task(), figures));
    write_file(run.path() / "anchors.csv", to_csv(anchors, experiment.classes()));
  }

  // So that explain finds the anchors without a search.
  static void keep_for_explain(const DerivedRun& run, OpenedRun& opened, Anchors anchors) {
    auto& nearest = anchors.samples.nearest;
    const auto prototypes = opened.model->prototypes()->prototypes().cpu().unsqueeze(2);
    nearest.similarities = (prototypes * nearest.points)
                               .sum(3)
                               .to(torch::kFloat32)
                               .masked_fill(nearest.samples.lt(0), -INFINITY);
    if (anchors.count() < nearest.samples.numel()) return;  // the others have a nearest one too
    write_prototype_samples(run.path() / "prototype_samples.safetensors",
                            search_digest(opened, SampleSearch{}), anchors.samples);
  }
};

}  // namespace

void add_anchor(CLI::App& app, Action& action) {
  auto command = std::make_shared<AnchorCommand>();
  auto* sub = app.add_subcommand(
      "anchor", "Replace each sub-centroid by its nearest real training image, in a new run");
  add_new_run(*sub, command->new_run, "_anchored");
  sub->footer(
      example("  dnc-host anchor runs/resnet8_dnc\n"
              "  dnc-host explain runs/resnet8_dnc_anchored photos/ --out why\n"
              "No image serves two sub-centroids. anchors.json and anchors.csv of the new run say "
              "which image each one is, and the metrics on the test data are shown before and "
              "after."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
