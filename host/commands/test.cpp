#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/commands/commands.h"
#include "host/commands/rank_options.h"
#include "host/commands/unknown_images.h"
#include "host/environment.h"
#include "host/files.h"
#include "host/report/predictions.h"
#include "host/report/terminal_table.h"
#include "host/report/test_page.h"
#include "host/run.h"
#include "host/train/evaluate.h"
#include "host/train/mistakes.h"
#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, Views::Kind> kViews{{"none", Views::Kind::kPlain},
                                                {"flip", Views::Kind::kFlip},
                                                {"five_crops", Views::Kind::kFiveCrops},
                                                {"ten_crops", Views::Kind::kTenCrops}};

// The file of --out: JSON lines or CSV by its suffix. It is created at once, so that a path that
// cannot be written ends the command before the model runs.
class PredictionFile {
 public:
  PredictionFile(const fs::path& path, int64_t classes) : csv_(is_csv(path)), file_(path) {
    if (csv_) file_.file().write(report::prediction_csv_header(classes));
  }
  void add(const report::Prediction& prediction) {
    file_.file().write(csv_ ? to_csv_line(prediction) : to_json_line(prediction));
  }
  void commit() { file_.commit(); }

 private:
  static bool is_csv(const fs::path& path) {
    if (path.extension() == ".csv") return true;
    if (path.extension() == ".jsonl" || path.extension() == ".json") return false;
    throw Error(
        fmt::format("--out: '{}' must end with .jsonl (JSON lines) or .csv", path.string()));
  }

  bool csv_;
  AtomicFile file_;
};

// What is kept of each batch besides the metrics: its predictions in a file, and the worst
// mistakes.
class Watch {
 public:
  Watch(const Dataset& dataset, const ClassInfo& classes, int64_t top_k, int64_t worst)
      : dataset_(dataset),
        classes_(classes),
        top_k_(std::min(top_k, classes.size())),
        mistakes_(worst) {}

  void write_to(const std::string& path) { file_.emplace(path, top_k_); }
  void add(const Batch& batch, const Model::Output& output);
  void finish() {
    if (file_) file_->commit();
  }
  const report::WorstMistakes& mistakes() const { return mistakes_; }

 private:
  report::Prediction prediction(int64_t index, int64_t label, const double* scores,
                                const int64_t* labels) const;

  const Dataset& dataset_;
  const ClassInfo& classes_;
  int64_t top_k_;
  std::optional<PredictionFile> file_;
  report::WorstMistakes mistakes_;
};

void Watch::add(const Batch& batch, const Model::Output& output) {
  add_mistakes(mistakes_, batch, output);
  if (!file_) return;
  const auto shares = output.scores.to(torch::kFloat64).softmax(1);
  const auto [best_scores, best_labels] = shares.topk(top_k_, 1);
  const auto scores = best_scores.cpu().contiguous();
  const auto predicted = best_labels.cpu().contiguous();
  const auto labels = batch.labels.cpu();
  for (int64_t i = 0; i < batch.size(); ++i) {
    const auto index = batch.indices[static_cast<size_t>(i)];
    const auto label = labels.const_data_ptr<int64_t>()[i];
    const auto* const score = scores.const_data_ptr<double>() + i * top_k_;
    const auto* const best = predicted.const_data_ptr<int64_t>() + i * top_k_;
    file_->add(prediction(index, label, score, best));
  }
}

report::Prediction Watch::prediction(int64_t index, int64_t label, const double* scores,
                                     const int64_t* labels) const {
  const auto name_of = [&](int64_t i) { return classes_.names[static_cast<size_t>(i)]; };
  report::Prediction prediction{index, dataset_.name(index), "", {}};
  if (label != kIgnoredLabel) prediction.label = name_of(label);
  for (int64_t k = 0; k < top_k_; ++k) prediction.best.emplace_back(name_of(labels[k]), scores[k]);
  return prediction;
}

struct TestCommand {
  ModelSource source;
  std::string split = "test";
  bool json = false;
  std::string out;
  int64_t top_k = 5;
  std::string report_folder;
  int64_t worst = 24;
  std::string views_name = "none";
  int64_t crop = 0;
  std::vector<double> scales{1.0};
  UnknownOptions unknown;
  RankOptions ranks;

  int run() {
    return on_all_ranks(ranks, [this](Ranks& ranks) { return test(ranks); });
  }

  int test(Ranks& ranks) const {
    Views views{kViews.at(views_name), crop, scales};
    if (crop > 0 && !views.has_crops()) {
      throw Error("--crop: needs --tta five_crops or ten_crops");
    }
    if (ranks.size() > 1 && (!out.empty() || unknown.wanted())) {
      throw Error(fmt::format(
          "{}: is for one process, which sees all samples, but {} were started; run `dnc-host "
          "test` without a launcher",
          out.empty() ? "--unknown" : "--out", ranks.size()));
    }
    const bool first = ranks.rank() == 0;
    Program program;
    use_ranks(program, ranks);
    auto opened = open_model(program, source, NeededWeights::kModel);
    if (first && !opened.note.empty()) std::cerr << opened.note << "\n";
    auto& experiment = *opened.experiment;
    const auto& data = experiment.split(split);
    const bool images = experiment.task() == Task::kImages;
    if (!images && !out.empty()) throw Error("--out: is for models of images, not of pixels");
    std::optional<UnknownImagesTest> unknown_test;
    if (unknown.wanted()) unknown_test.emplace(program, opened, data, views, unknown);
    Watch watch(*data.dataset, experiment.classes(), top_k, worst);
    if (!out.empty()) watch.write_to(out);
    if (!report_folder.empty()) create_folder(report_folder);

    const auto& options = experiment.options();
    views.inference = options.model.inference;
    auto loader = evaluation_loader(data, options.data, static_cast<uint64_t>(options.seed), ranks);
    const bool watched = images && (!out.empty() || !report_folder.empty());
    const UseBatch keep = [&](const Batch& batch, const Model::Output& output) {
      if (watched) watch.add(batch, output);
      if (unknown_test) unknown_test->add_known(batch, output);
    };
    const auto found = evaluate(*opened.model, *loader, split, experiment.build_metrics(),
                                experiment.device(), options.train.precision, ranks, views, keep);
    watch.finish();
    const auto mistakes = gather_mistakes(watch.mistakes(), ranks, experiment.device());
    if (!first) return 0;
    const auto damaged = loader->bad_samples().empty()
                             ? std::string()
                             : bad_samples_text(split, loader->bad_samples());
    if (!damaged.empty()) std::cerr << "warning: " << damaged << "\n";
    if (unknown_test) unknown_test->run();
    const auto* asked = unknown_test ? &*unknown_test : nullptr;
    json ? print_json(opened, found, views, asked)
         : print(opened, found, views, data.dataset->size(), asked);
    if (!report_folder.empty()) {
      write_report(opened, found, views, mistakes, damaged, asked);
    }
    return 0;
  }

  static void print_json(const OpenedRun& opened, const Evaluation& found, const Views& views,
                         const UnknownImagesTest* unknown) {
    nlohmann::ordered_json out = {{"checkpoint", opened.checkpoint.string()},
                                  {"step", opened.step},
                                  {"split", found.split},
                                  {"views", views.text()}};
    for (const auto& [name, value] : found.figures) out["figures"][name] = value;
    for (const auto& table : found.tables) {
      out["tables"][table.name] = {
          {"columns", table.columns}, {"rows", table.rows}, {"values", table.values}};
    }
    if (unknown) out["unknown"] = unknown->to_json();
    std::cout << out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  }

  static void print(const OpenedRun& opened, const Evaluation& found, const Views& views,
                    int64_t samples, const UnknownImagesTest* unknown) {
    std::cout << fmt::format("{} (step {}), {} split, {} samples{}\n\n", opened.checkpoint.string(),
                             opened.step, found.split, samples,
                             views.is_plain() ? "" : ", " + views.text());
    for (const auto& [name, value] : found.figures) {
      std::cout << fmt::format("  {:<20} {:.4f}\n", name, value);
    }
    for (const auto& table : found.tables) {
      std::cout << "\n" << table.name << "\n" << table_text(table);
    }
    if (unknown) std::cout << "\n" << unknown->to_text();
  }

  static std::string cell(double value) {
    if (std::isnan(value)) return "-";
    const bool count = value == std::floor(value) && std::abs(value) > 1;
    return count ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
  }

  static std::string table_text(const Table& table) {
    report::TerminalTable text;
    text.header.push_back("");
    text.header.insert(text.header.end(), table.columns.begin(), table.columns.end());
    auto value = table.values.begin();
    for (const auto& row : table.rows) {
      std::vector<std::string> cells{row};
      for (size_t c = 0; c < table.columns.size(); ++c, ++value) {
        cells.push_back(cell(*value));
      }
      text.rows.push_back(std::move(cells));
    }
    return text.to_text(false);
  }

  // report.html, and each table as CSV.
  void write_report(OpenedRun& opened, const Evaluation& found, const Views& views,
                    const report::WorstMistakes& mistakes, const std::string& damaged,
                    const UnknownImagesTest* unknown_test) const {
    auto& experiment = *opened.experiment;
    const auto& dataset = *experiment.split(split).dataset;
    auto name = fs::path(source.path).lexically_normal();
    if (!name.has_filename()) name = name.parent_path();
    report::TestReport page;
    page.title = fmt::format("{} on {}", name.filename().string(), split);
    page.split = split;
    page.samples = dataset.size();
    page.figures = found.figures;
    page.tables = found.tables;
    page.mistakes = show_mistakes(mistakes, dataset, experiment.classes());
    if (unknown_test) page.unknown = unknown_test->to_section();
    page.damaged = damaged;
    page.command = command_line();
    page.checkpoint = fmt::format("{} (step {})", opened.checkpoint.string(), opened.step);
    page.views = views.text();
    const auto environment = dnc::environment(experiment.device());
    page.machine = fmt::format("{}, {} threads, device {}", environment.cpu, environment.threads,
                               environment.device);
    page.version = environment.version;
    page.date = utc_now();
    const fs::path folder = report_folder;
    write_file(folder / "report.html", to_html(page));
    for (const auto& table : found.tables) {
      write_file(folder / (table.name + ".csv"), report::to_csv(table));
    }
    if (!json) std::cout << "\n" << (folder / "report.html").string() << " has the mistakes\n";
  }

  // For the report: what gives it again.
  std::string command_line() const {
    auto text = "dnc-host test " + source.path;
    const auto add = [&](const std::string& option, const std::string& value,
                         const std::string& usual) {
      if (value != usual) text += fmt::format(" {} {}", option, value);
    };
    add("--checkpoint", source.checkpoint, "best");
    add("--weights", source.weights, "");
    add("--classes", source.classes, "");
    add("--split", split, "test");
    add("--tta", views_name, "none");
    if (crop > 0) add("--crop", std::to_string(crop), "");
    add("--scales", fmt::format("{}", fmt::join(scales, ",")), "1");
    add("--worst", std::to_string(worst), "24");
    add("--unknown", unknown.source, "");
    add("--far", fmt::format("{}", fmt::join(unknown.false_accept_rates, ",")), "");
    add("--report", report_folder, "");
    for (const auto& change : source.overrides) text += " --set " + change;
    return text;
  }
};

}  // namespace

void add_test(CLI::App& app, Action& action) {
  auto command = std::make_shared<TestCommand>();
  auto* sub = app.add_subcommand("test", "Evaluate a model on test data");
  add_model_source(*sub, command->source);
  sub->add_option("--split", command->split, "train, val or test")->capture_default_str();
  sub->add_flag("--json", command->json, "One JSON object instead of tables");
  sub->add_option("-o,--out", command->out,
                  "A file for the prediction of each sample: .jsonl (one object a line) or .csv")
      ->type_name("FILE");
  sub->add_option("-k,--top-k", command->top_k, "Classes of each sample in that file")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option("--report", command->report_folder,
                  "A folder for report.html (classes, confusion, worst mistakes) and CSV tables")
      ->type_name("DIR");
  sub->add_option("--worst", command->worst, "Mistakes that the report shows")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->add_option("--tta", command->views_name,
                  "Show each image in several views and average the shares that the classes get: "
                  "flip (mirrored too), five_crops (middle and corners), ten_crops (both)")
      ->check(CLI::IsMember(kViews))
      ->capture_default_str();
  sub->add_option("--crop", command->crop,
                  "Side of a crop in pixels (default 7/8 of the shorter side of the image)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  sub->add_option("--scales", command->scales,
                  "Sizes at which each image is shown, as factors, e.g. 0.75,1,1.25")
      ->delimiter(',')
      ->check(CLI::Range(0.01, 100.0))
      ->type_name("FACTOR,...");
  add_unknown_options(*sub, command->unknown);
  add_rank_options(*sub, command->ranks);
  sub->footer(
      example("  dnc-host test runs/resnet8_dnc --checkpoint newest\n"
              "  dnc-host test runs/resnet8_dnc --unknown other_photos/ --far 0.01,0.05\n"
              "  dnc-host test runs/resnet8_dnc --report runs/resnet8_dnc/test --tta flip "
              "--out predictions.csv"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
