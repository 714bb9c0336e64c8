#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <set>

#include "host/commands/commands.h"
#include "host/environment.h"
#include "host/files.h"
#include "host/report/comparison.h"
#include "host/report/comparison_page.h"
#include "host/report/comparison_text.h"
#include "host/report/progress.h"
#include "host/report/prototype_images.h"
#include "host/report/run_page.h"
#include "host/run.h"
#include "registry/error.h"

extern char** environ;

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct PlannedRun {
  std::string config;
  int64_t seed;
  fs::path folder;
};

// Runs this program again and waits. Each run has a process of its own, so that its memory and time
// are its own and a crash ends one run only.
int run_program(const std::vector<std::string>& arguments) {
  const auto program = program_file();
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), environ) != 0) {
    throw Error(program + ": cannot be started");
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw Error("a run was lost");
  }
  if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

// Writes the nearest training images of a run's sub-centroids, unless they are there or it has
// none.
void find_images(const fs::path& run_folder) {
  if (fs::exists(run_folder / "prototypes.json")) return;
  Program program;
  auto run = open_run(program, run_folder, "newest", {});
  if (!run.model->prototypes()) return;
  std::cout << run_folder.string() << ": nearest training images of the sub-centroids" << std::endl;
  report::ProgressLine line(
      std::cout, isatty(STDOUT_FILENO) != 0,
      {.columns = report::terminal_columns(STDOUT_FILENO), .plain_seconds = 30, .clock = {}});
  write_prototype_images(run, [&](int64_t done, int64_t all) {
    report::TaskProgress shown;
    shown.label = "batches";
    shown.step = done;
    shown.steps = all;
    line.update(shown);
  });
  report::write_run_report(run_folder);  // which shows them too
}

// The table on the terminal; comparison.csv and report.html in the folder.
void report_runs(const std::vector<PlannedRun>& planned, const fs::path& folder,
                 const std::string& command_line) {
  std::vector<fs::path> runs;
  for (const auto& each : planned) runs.push_back(each.folder);
  const auto comparison = report::read_comparison(runs);
  std::cout << "\n" << report::to_terminal(comparison, isatty(STDOUT_FILENO) != 0);
  const auto csv = folder / "comparison.csv";
  const auto page = folder / "report.html";
  write_file(csv, report::to_csv(comparison));
  report::ReportInfo info;
  info.command = command_line;
  info.date = utc_now();
  write_file(page, report::to_html(comparison, info));
  std::cout << fmt::format("\n{} has the curves and the sub-centroids, {} the numbers\n",
                           page.string(), csv.string());
}

struct CompareCommand {
  std::vector<std::string> configs;
  std::vector<int64_t> seeds{0};
  std::string folder;
  bool no_images = false;
  std::vector<std::string> overrides;

  int run() {
    check_configs();
    if (folder.empty()) folder = "runs/compare/" + fs::path(configs.front()).stem().string();
    const auto planned = plan();
    for (size_t i = 0; i < planned.size(); ++i) {
      const auto& each = planned[i];
      const auto title = fmt::format("[{}/{}] {} seed {}", i + 1, planned.size(),
                                     fs::path(each.config).stem().string(), each.seed);
      if (fs::exists(each.folder / "result.json")) {
        std::cout << title << ": done already\n";
        continue;
      }
      std::cout << title << std::endl;
      if (const int code = train(each); code != 0) return code;
    }
    for (const auto& each : planned) {
      // The first seed of each config is shown.
      if (!no_images && each.seed == seeds.front()) find_images(each.folder);
    }
    report_runs(planned, folder, command_line());
    return 0;
  }

  // All configs are checked before the first is trained.
  void check_configs() const {
    Program program;
    std::set<std::string> names;
    for (const auto& config : configs) {
      program.experiment(config, overrides);
      if (!names.insert(fs::path(config).stem().string()).second) {
        throw ConfigError(config +
                          ": another config has the same file name; runs are told apart by "
                          "it");
      }
    }
  }

  std::vector<PlannedRun> plan() const {
    std::vector<PlannedRun> runs;
    for (const auto seed : seeds) {
      for (const auto& config : configs) {
        runs.push_back({config, seed,
                        fs::path(folder) / fs::path(config).stem() / fmt::format("seed_{}", seed)});
      }
    }
    return runs;
  }

  int train(const PlannedRun& planned) const {
    std::vector<std::string> arguments{"train",      planned.config,
                                       "--work-dir", planned.folder.string(),
                                       "--seed",     std::to_string(planned.seed)};
    for (const auto& text : overrides) {
      arguments.push_back("--set");
      arguments.push_back(text);
    }
    const int code = run_program(arguments);
    if (code != 0) {
      std::cerr << fmt::format(
          "{}: the run ended with {}; `dnc-host compare` with the same "
          "arguments goes on from here\n",
          planned.folder.string(), code);
    }
    return code;
  }

  // For the report: what gives it again.
  std::string command_line() const {
    auto text = fmt::format("dnc-host compare {} --seeds {}", fmt::join(configs, " "),
                            fmt::join(seeds, ","));
    for (const auto& change : overrides) text += " --set " + change;
    return text;
  }
};

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto command = std::make_shared<CompareCommand>();
  auto* sub = app.add_subcommand(
      "compare",
      "Train several configs with several seeds and compare them; goes on where it stopped");
  sub->add_option("configs", command->configs, "The configs; the first is the baseline")
      ->required()
      ->type_name("CONFIG...");
  sub->add_option("--seeds", command->seeds, "Seeds, e.g. 0,1,2; each is a run of each config")
      ->delimiter(',')
      ->type_name("N,N")
      ->capture_default_str();
  sub->add_option("-o,--work-dir", command->folder, "Folder (default runs/compare/<first config>)")
      ->type_name("DIR");
  sub->add_flag("--no-images", command->no_images,
                "Do not look for the sub-centroids' nearest training images");
  add_overrides(*sub, command->overrides);
  sub->footer(
      example("  dnc-host compare configs/fashion_mnist/resnet8_linear.yaml "
              "configs/fashion_mnist/resnet8_dnc.yaml --seeds 0,1,2"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
