#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/commands.h"
#include "host/report/terminal_table.h"
#include "host/run.h"
#include "host/train/evaluate.h"
#include "registry/communicator.h"

namespace dnc {
namespace {

struct TestCommand {
  std::string run_folder;
  std::string checkpoint = "best";
  std::string split = "test";
  bool json = false;
  std::vector<std::string> overrides;

  int run() {
    Program program;
    auto opened = open_run(program, run_folder, checkpoint, overrides);
    auto& experiment = *opened.experiment;
    SingleProcess alone;
    const auto& data = experiment.split(split);
    auto loader = evaluation_loader(data, experiment.options().data,
                                    static_cast<uint64_t>(experiment.options().seed), alone);
    const auto found =
        evaluate(*opened.model, *loader, split, experiment.build_metrics(), experiment.device(),
                 experiment.options().train.precision, alone);
    if (!loader->bad_samples().empty()) {
      std::cerr << "warning: " << bad_samples_text(split, loader->bad_samples()) << "\n";
    }
    json ? print_json(opened, found) : print(opened, found, data.dataset->size());
    return 0;
  }

  static void print_json(const OpenedRun& opened, const Evaluation& found) {
    nlohmann::ordered_json out = {{"checkpoint", opened.checkpoint.string()},
                                  {"step", opened.step},
                                  {"split", found.split}};
    for (const auto& [name, value] : found.figures) out["figures"][name] = value;
    for (const auto& table : found.tables) {
      out["tables"][table.name] = {
          {"columns", table.columns}, {"rows", table.rows}, {"values", table.values}};
    }
    std::cout << out.dump() << "\n";
  }

  static void print(const OpenedRun& opened, const Evaluation& found, int64_t samples) {
    std::cout << fmt::format("{} (step {}), {} split, {} samples\n\n", opened.checkpoint.string(),
                             opened.step, found.split, samples);
    for (const auto& [name, value] : found.figures) {
      std::cout << fmt::format("  {:<20} {:.4f}\n", name, value);
    }
    for (const auto& table : found.tables) {
      std::cout << "\n" << table.name << "\n" << table_text(table);
    }
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
};

}  // namespace

void add_test(CLI::App& app, Action& action) {
  auto command = std::make_shared<TestCommand>();
  auto* sub = app.add_subcommand("test", "Evaluate a run on its test data");
  sub->add_option("run", command->run_folder, "Folder of a run, or of one of its checkpoints")
      ->required()
      ->type_name("RUN");
  sub->add_option("--checkpoint", command->checkpoint, "best, newest, or a name like step_00000391")
      ->capture_default_str();
  sub->add_option("--split", command->split, "train, val or test")->capture_default_str();
  sub->add_flag("--json", command->json, "One JSON object instead of tables");
  add_overrides(*sub, command->overrides);
  sub->footer(example("  dnc-host test runs/resnet8_dnc --checkpoint newest"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
