#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/environment.h"
#include "host/files.h"
#include "host/report/progress.h"
#include "host/report/run_logs.h"

namespace dnc {
namespace {

struct LogsCommand {
  std::vector<std::string> folders;
  std::vector<std::string> metrics;
  bool csv = false;
  std::string page;

  int run() const {
    const report::RunLogs logs({folders.begin(), folders.end()});
    for (const auto& each : logs.runs()) {
      for (const auto& text : each.damage) std::cerr << "warning: left out: " << text << "\n";
    }
    std::vector<std::string> wanted;
    for (const auto& name : metrics) wanted.push_back(logs.find_series(name));
    if (csv) {
      std::cout << logs.to_csv(wanted.empty() ? logs.series() : wanted);
    } else if (page.empty()) {
      std::cout << logs.to_terminal(wanted.empty() ? logs.main_series() : wanted,
                                    report::terminal_columns(STDOUT_FILENO),
                                    isatty(STDOUT_FILENO) != 0);
    }
    if (page.empty()) return 0;
    write_file(page,
               logs.to_html(wanted.empty() ? logs.series() : wanted, command_line(), utc_now()));
    if (!csv) std::cout << page << "\n";
    return 0;
  }

  // For the page: what gives it again.
  std::string command_line() const {
    auto text = fmt::format("dnc-host logs {}", fmt::join(folders, " "));
    for (const auto& name : metrics) text += " --metric " + name;
    return text + " --html " + page;
  }
};

}  // namespace

void add_logs(CLI::App& app, Action& action) {
  auto command = std::make_shared<LogsCommand>();
  auto* sub = app.add_subcommand(
      "logs", "Compare what runs have logged, finished or not: table, curves, CSV, page");
  sub->add_option("runs", command->folders, "Folders of runs")->required()->type_name("DIR...");
  sub->add_option(
         "--metric", command->metrics,
         "What is shown, e.g. accuracy/top1, loss, train/lr; may be repeated (default: the "
         "first figure and the loss; in CSV and page all)")
      ->allow_extra_args(false)
      ->type_name("METRIC");
  sub->add_flag("--csv", command->csv, "CSV instead of table and curves: one value a line");
  sub->add_option("--html", command->page, "A page with the curves of all runs over each other")
      ->type_name("FILE");
  sub->footer(
      example("  dnc-host logs runs/resnet8_linear runs/resnet8_dnc --metric accuracy/top1\n"
              "  dnc-host logs runs/* --html logs.html\n"
              "  dnc-host logs runs/* --metric loss --csv > loss.csv"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
