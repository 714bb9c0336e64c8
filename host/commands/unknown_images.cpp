#include "host/commands/unknown_images.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/commands/batch_progress.h"
#include "host/commands/image_files.h"
#include "host/explain/network_input.h"
#include "host/report/terminal_table.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// The test split of a config or of a run, or all image files below a folder.
std::shared_ptr<const Dataset> open_unknown(Program& program, const std::string& path) {
  if (!fs::exists(path)) {
    throw ConfigError("--unknown: " + path +
                      ": no such file or folder; give a config, a run or a folder of images");
  }
  auto config = path;
  if (fs::is_directory(path)) {
    config = (fs::path(path) / "config.yaml").string();
    if (!fs::exists(config)) {
      return std::make_shared<ImageFiles>(find_images({path}), program.images(), ClassInfo{});
    }
  }
  auto dataset = program.experiment(config, {})->split("test").dataset;
  if (dataset->task() != Task::kImages) {
    throw ConfigError("--unknown: " + path + ": its data is for models of pixels, not of images");
  }
  return dataset;
}

// Where the network gets the first images of two sets in different sizes, it may tell them apart by
// that alone.
void warn_of_sizes(const Dataset& known, const Dataset& unknown, Experiment& experiment) {
  const auto transforms = experiment.test_transforms();
  const auto a = network_input(known, transforms, 0, 0).picture;
  const auto b = network_input(unknown, transforms, 0, 0).picture;
  if (a.width() == b.width() && a.height() == b.height()) return;
  std::cerr << fmt::format(
      "warning: the network gets unknown images of {} x {} pixels and known ones of {} x {}: it "
      "may tell them apart by that alone; resize both by --set data.test.transforms=[...]\n",
      b.width(), b.height(), a.width(), a.height());
}

std::string percent(double share) { return fmt::format("{:.2f} %", share * 100); }

}  // namespace

void add_unknown_options(CLI::App& command, UnknownOptions& options) {
  auto* unknown =
      command
          .add_option("--unknown", options.source,
                      "Images of no class of the model, to see whether it can tell: a config or "
                      "a run, whose test data is taken, or a folder of images")
          ->type_name("CONFIG|RUN|DIR");
  command
      .add_option("--far", options.false_accept_rates,
                  "Shares of unknown images that may pass as known, e.g. 0.05: chooses a threshold "
                  "for each and writes RUN/reject.json, for predict --reject")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 0.999999))
      ->needs(unknown)
      ->type_name("SHARE,...");
}

UnknownImagesTest::UnknownImagesTest(Program& program, OpenedRun& run, const Split& known,
                                     const Views& views, UnknownOptions options)
    : run_(run), known_(known), options_(std::move(options)), test_(*run.model) {
  if (run.experiment->task() != Task::kImages) {
    throw Error("--unknown: is for models of images, not of pixels");
  }
  if (!views.is_plain()) throw Error("--unknown: is for one view of each image, without --tta");
  if (!options_.false_accept_rates.empty() && run.folder.empty()) {
    throw Error("--far: is for a run, in whose folder reject.json lies; this is a config");
  }
  unknown_ = open_unknown(program, options_.source);
  warn_of_sizes(*known.dataset, *unknown_, *run.experiment);
}

void UnknownImagesTest::add_known(const Batch& batch, const Model::Output& output) {
  test_.add_known(*known_.dataset, batch, output);
}

void UnknownImagesTest::look_at_unknown() {
  auto& experiment = *run_.experiment;
  SingleProcess alone;
  const Split split{"unknown", unknown_, experiment.test_transforms()};
  const auto loader = evaluation_loader(split, experiment.options().data, 0, alone);
  {
    BatchProgress line("unknown");
    int64_t done = 0;
    for_each_batch(*run_.model, *loader, experiment.device(), experiment.options().train.precision,
                   [&](const Batch& batch, const Model::Output& output) {
                     test_.add_unknown(*unknown_, batch, output);
                     line.update(++done, loader->batches());
                   });
  }
  damaged_ = static_cast<int64_t>(loader->bad_samples().size());
  if (damaged_ > 0) {
    std::cerr << "warning: " << bad_samples_text("unknown", loader->bad_samples()) << "\n";
  }
}

void UnknownImagesTest::keep_thresholds() {
  const auto unknown = static_cast<int64_t>(results_.front().unknown.size());
  RejectionThresholds thresholds;
  thresholds.model = digest_for_rejection(run_);
  thresholds.unknown = options_.source;
  thresholds.chosen_on = (unknown + 1) / 2;
  thresholds.measured_on = unknown / 2;
  for (const auto& found : results_) {
    thresholds.thresholds.insert(thresholds.thresholds.end(), found.thresholds.begin(),
                                 found.thresholds.end());
  }
  if (thresholds.thresholds.empty()) {
    throw DataError(options_.source + ": no score tells these images apart; there is no threshold");
  }
  write_thresholds(thresholds_file(run_), thresholds);
  file_ = thresholds_file(run_).string();
}

void UnknownImagesTest::run() {
  look_at_unknown();
  results_ = test_.result(options_.false_accept_rates,
                          static_cast<uint64_t>(run_.experiment->options().seed));
  for (const auto& found : results_) {
    if (found.is_useful) continue;
    std::cerr << fmt::format("warning: the {} of all images is {}: it tells nothing apart\n",
                             found.score.name, found.known.front());
  }
  if (!options_.false_accept_rates.empty()) keep_thresholds();
}

std::string UnknownImagesTest::to_text() const {
  auto text =
      fmt::format("unknown: {} images of {}, against {} known ones\n",
                  results_.front().unknown.size(), options_.source, results_.front().known.size());
  report::TerminalTable scores, thresholds;
  scores.header = {"score", "AUROC", "FPR@95"};
  thresholds.header = {"score", "false accepts", "threshold", "measured", "known rejected"};
  for (const auto& found : results_) {
    scores.rows.push_back({found.score.name, percent(found.auroc), percent(found.fpr_at_95)});
    for (const auto& each : found.thresholds) {
      thresholds.rows.push_back({each.score, percent(each.false_accept_rate),
                                 fmt::format("{:.4f}", each.threshold), percent(each.measured),
                                 percent(each.known_rejected)});
    }
  }
  text += scores.to_text(false);
  if (!thresholds.rows.empty()) text += "\n" + thresholds.to_text(false);
  if (!file_.empty()) text += "\n" + file_ + " has the thresholds for predict --reject\n";
  return text;
}

nlohmann::ordered_json UnknownImagesTest::to_json() const {
  nlohmann::ordered_json json = {{"source", options_.source},
                                 {"known_images", results_.front().known.size()},
                                 {"unknown_images", results_.front().unknown.size()},
                                 {"damaged", damaged_}};
  for (const auto& found : results_) {
    auto& score = json["scores"][found.score.name];
    score = {{"auroc", found.auroc}, {"fpr_at_95", found.fpr_at_95}};
    for (const auto& each : found.thresholds) {
      score["thresholds"].push_back({{"false_accept_rate", each.false_accept_rate},
                                     {"threshold", each.threshold},
                                     {"measured", each.measured},
                                     {"known_rejected", each.known_rejected}});
    }
  }
  if (!file_.empty()) json["file"] = file_;
  return json;
}

report::UnknownImages UnknownImagesTest::to_section() const {
  report::UnknownImages section{options_.source, damaged_, file_, {}};
  for (const auto& found : results_) {
    auto& shown = section.scores.emplace_back();
    shown.score = found.score.name;
    shown.meaning = found.score.meaning;
    shown.auroc = found.auroc;
    shown.fpr_at_95 = found.fpr_at_95;
    shown.known = found.known;
    shown.unknown = found.unknown;
    for (const auto& each : found.thresholds) {
      shown.rates.push_back(
          {each.false_accept_rate, each.threshold, each.measured, each.known_rejected});
    }
  }
  return section;
}

}  // namespace dnc
