#include <fmt/format.h>
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
#include "host/report/prototype_images.h"
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

struct CompareCommand {
  std::vector<std::string> configs;
  std::vector<int64_t> seeds{0};
  std::string folder;
  bool no_images = false;
  std::string command_line;
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
    if (!no_images) find_images(planned);
    report(planned);
    return 0;
  }

  // All configs are checked before the first is trained.
  void check_configs() const {
    Program program;
    std::set<std::string> names;
    for (const auto& config : configs) {
      program.experiment(config, overrides);
      if (!names.insert(fs::path(config).stem().string()).second) {
        throw ConfigError(config + ": another config has the same file name; runs are told apart by "
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
    std::vector<std::string> arguments{"train", planned.config, "--work-dir",
                                       planned.folder.string(), "--seed",
                                       std::to_string(planned.seed)};
    for (const auto& text : overrides) {
      arguments.push_back("--set");
      arguments.push_back(text);
    }
    const int code = run_program(arguments);
    if (code != 0) {
      std::cerr << fmt::format("{}: the run ended with {}; `dnc-host compare` with the same "
                               "arguments goes on from here\n",
                               planned.folder.string(), code);
    }
    return code;
  }

  // The first seed of each config is shown.
  void find_images(const std::vector<PlannedRun>& planned) const {
    for (const auto& each : planned) {
      if (each.seed != seeds.front() || fs::exists(each.folder / "prototypes.json")) continue;
      Program program;
      auto run = open_run(program, each.folder, "newest", {});
      if (!run.model->prototypes()) continue;
      const auto text = each.folder.string() + ": nearest training images of the sub-centroids";
      const bool tty = isatty(STDOUT_FILENO) != 0;
      if (!tty) std::cout << text << std::endl;
      write_prototype_images(run, [&](int64_t done, int64_t all) {
        if (tty) std::cout << fmt::format("\r{} {}/{}", text, done, all) << std::flush;
      });
      if (tty) std::cout << "\r\x1b[K";
    }
  }

  void report(const std::vector<PlannedRun>& planned) const {
    std::vector<fs::path> folders;
    for (const auto& each : planned) folders.push_back(each.folder);
    const auto comparison = report::read_comparison(folders);
    std::cout << "\n" << report::to_terminal(comparison, isatty(STDOUT_FILENO) != 0);
    write_file(fs::path(folder) / "comparison.csv", report::to_csv(comparison));
    report::ReportInfo info;
    info.command = command_line;
    info.date = utc_now();
    write_file(fs::path(folder) / "report.html", report::to_html(comparison, info));
    std::cout << "\n" << (fs::path(folder) / "report.html").string() << " has the curves and the "
              << "sub-centroids, " << (fs::path(folder) / "comparison.csv").string()
              << " the numbers\n";
  }
};

}  // namespace

void add_compare(CLI::App& app, Action& action) {
  auto command = std::make_shared<CompareCommand>();
  auto* sub = app.add_subcommand(
      "compare", "Train several configs with several seeds and compare them; goes on where it stopped");
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
  sub->footer(example(
      "  dnc-host compare configs/fashion_mnist/resnet8_linear.yaml "
      "configs/fashion_mnist/resnet8_dnc.yaml --seeds 0,1,2"));
  sub->callback([command, &action] {
    command->command_line = "dnc-host " + [&] {
      std::string text = "compare";
      for (const auto& config : command->configs) text += " " + config;
      text += " --seeds ";
      for (size_t i = 0; i < command->seeds.size(); ++i) {
        text += (i ? "," : "") + std::to_string(command->seeds[i]);
      }
      for (const auto& change : command->overrides) text += " --set " + change;
      return text;
    }();
    action = [command] { return command->run(); };
  });
}

}  // namespace dnc
