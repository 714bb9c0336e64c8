#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/commands.h"
#include "host/data/verify.h"
#include "host/program.h"
#include "host/report/format.h"
#include "host/report/progress.h"
#include "host/report/terminal_table.h"

namespace dnc {
namespace {

// Reads all data that a config names and lists what is broken or looks wrong.
struct VerifyDataCommand {
  std::string config;
  std::vector<std::string> splits;
  int64_t workers = 2;
  size_t limit = 20;
  bool json = false;
  std::vector<std::string> overrides;

  struct Checked {
    std::string split;
    const Dataset* dataset = nullptr;
    DataReport report;
    std::vector<DataFinding> shared;  // with the training data
  };

  int run() const {
    Program program;
    const auto experiment = program.experiment(config, overrides);
    std::vector<Checked> all;
    for (const auto& split : chosen(*experiment)) all.push_back(check(*experiment, split, all));
    json ? print_json(all) : print(all);
    const bool broken = std::any_of(all.begin(), all.end(), [](const Checked& checked) {
      return !checked.report.broken.empty();
    });
    return broken ? 1 : 0;
  }

  std::vector<std::string> chosen(const Experiment& experiment) const {
    if (!splits.empty()) return splits;
    std::vector<std::string> all;
    const auto& data = experiment.options().data;
    if (!data.train.dataset.empty()) all.emplace_back("train");
    if (!data.val.dataset.empty()) all.emplace_back("val");
    if (!data.test.dataset.empty()) all.emplace_back("test");
    return all;
  }

  Checked check(Experiment& experiment, const std::string& split,
                const std::vector<Checked>& before) const {
    const bool tty = isatty(STDERR_FILENO) != 0;
    report::ProgressLine line(
        std::cerr, tty,
        {.columns = report::terminal_columns(STDERR_FILENO), .plain_seconds = 30, .clock = {}});
    Checked checked;
    checked.split = split;
    checked.dataset = experiment.split(split).dataset.get();
    checked.report = verify(*checked.dataset, workers, [&](int64_t done) {
      report::TaskProgress progress;
      progress.label = split;
      progress.step = done;
      progress.steps = checked.dataset->size();
      line.update(progress);
    });
    if (!before.empty() && before.front().split == "train") {
      checked.shared = find_shared(*before.front().dataset, before.front().report, *checked.dataset,
                                   checked.report);
    }
    return checked;
  }

  void print(const std::vector<Checked>& all) const {
    for (const auto& checked : all) {
      const auto& found = checked.report;
      std::cout << fmt::format("{}: {} samples, sides of {} to {} pixels\n", checked.split,
                               report::grouped(static_cast<double>(found.samples)),
                               found.smallest_side, found.largest_side);
      print(found.broken, "broken");
      print(found.suspicious, "suspicious");
      print(checked.shared, "in the training data, too");
      print_classes(checked);
      std::cout << "\n";
    }
  }

  void print(const std::vector<DataFinding>& findings, const std::string& what) const {
    if (findings.empty()) return;
    std::cout << fmt::format("  {} {}:\n", findings.size(), what);
    for (size_t i = 0; i < std::min(limit, findings.size()); ++i) {
      std::cout << "    " << report::printable(findings[i].text) << "\n";
    }
    if (findings.size() > limit) {
      std::cout << fmt::format("    and {} more (--limit)\n", findings.size() - limit);
    }
  }

  static void print_classes(const Checked& checked) {
    const auto& found = checked.report;
    const bool pixels = checked.dataset->task() == Task::kPixels;
    int64_t labelled = 0;
    for (const auto count : found.class_counts) labelled += count;
    report::TerminalTable table;
    table.header = {"class", pixels ? "pixels" : "samples", "share"};
    for (size_t c = 0; c < found.class_counts.size(); ++c) {
      const auto count = static_cast<double>(found.class_counts[c]);
      table.rows.push_back(
          {checked.dataset->classes().names[c], report::grouped(count),
           found.class_counts[c] == 0
               ? "never"
               : fmt::format("{:.2f} %", 100 * count / static_cast<double>(labelled))});
    }
    std::cout << table.to_text(isatty(STDOUT_FILENO) != 0);
    if (found.ignored > 0) {
      std::cout << fmt::format("{} {} without a label\n",
                               report::grouped(static_cast<double>(found.ignored)),
                               pixels ? "pixels" : "samples");
    }
  }

  static nlohmann::ordered_json to_json(const std::vector<DataFinding>& findings) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& finding : findings) {
      list.push_back({{"index", finding.index}, {"text", report::printable(finding.text)}});
    }
    return list;
  }

  static void print_json(const std::vector<Checked>& all) {
    nlohmann::ordered_json out;
    for (const auto& checked : all) {
      const auto& found = checked.report;
      auto& split = out[checked.split];
      split = {{"samples", found.samples},
               {"smallest_side", found.smallest_side},
               {"largest_side", found.largest_side},
               {"broken", to_json(found.broken)},
               {"suspicious", to_json(found.suspicious)},
               {"in_training_data", to_json(checked.shared)},
               {"ignored", found.ignored}};
      for (size_t c = 0; c < found.class_counts.size(); ++c) {
        split["classes"][checked.dataset->classes().names[c]] = found.class_counts[c];
      }
    }
    std::cout << out.dump() << "\n";
  }
};

}  // namespace

void add_verify_data(CLI::App& app, Action& action) {
  auto command = std::make_shared<VerifyDataCommand>();
  auto* sub = app.add_subcommand(
      "verify-data", "Read all data that a config names and list what is broken or suspicious");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_option("--split", command->splits, "train, val or test; all that there are by default")
      ->check(CLI::IsMember({"train", "val", "test"}));
  sub->add_option("--workers", command->workers, "Threads that read")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  sub->add_option("--limit", command->limit, "Findings of a kind that are shown")
      ->capture_default_str();
  sub->add_flag("--json", command->json, "One JSON object with all findings instead of tables");
  add_overrides(*sub, command->overrides);
  sub->footer(example("  dnc-host verify-data configs/fashion_mnist/resnet8_dnc.yaml"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
