#include "registry/config.h"

#include <filesystem>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/config_differences.h"
#include "host/program.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct ConfigCommand {
  std::vector<std::string> configs;  // of which a run's folder stands for its config.yaml
  bool diff = false;
  bool no_origins = false;
  bool as_written = false;
  bool json = false;
  std::vector<std::string> overrides;

  int run() const {
    Program program;
    if (diff) return print_differences(program);
    if (configs.size() > 1) throw Error("config: takes one config, or two with --diff");
    const auto node = read(program, configs.front());
    std::cout << (json ? to_json(node) + "\n" : to_yaml(node, !no_origins));
    return 0;
  }

  Node read(Program& program, const std::string& path) const {
    const auto file = fs::is_directory(path) ? (fs::path(path) / "config.yaml").string() : path;
    return as_written ? program.load(file, overrides)
                      : program.experiment(file, overrides)->resolved();
  }

  // As of diff(1): 0 where they are the same, 1 where they differ.
  int print_differences(Program& program) const {
    if (configs.size() != 2) throw Error("config --diff: takes two configs or folders of runs");
    const auto a = read(program, configs[0]), b = read(program, configs[1]);
    const auto found = config_differences(a, b);
    if (json) {
      std::cout << to_json(found);
    } else if (!found.empty()) {
      std::cout << "--- " << configs[0] << "\n+++ " << configs[1] << "\n" << to_text(found);
    }
    return found.empty() ? 0 : 1;
  }
};

}  // namespace

void add_config(CLI::App& app, Action& action) {
  auto command = std::make_shared<ConfigCommand>();
  auto* sub = app.add_subcommand(
      "config", "Print the whole config, defaults filled in, with where each value comes from");
  sub->add_option("config", command->configs, "The config; two of them with --diff")
      ->required()
      ->expected(1, 2)
      ->type_name("RUN|CONFIG");
  sub->add_flag("--diff", command->diff,
                "The values in which two configs or runs differ; exit code 1 where they do");
  sub->add_flag("--no-origins", command->no_origins, "Without the comments");
  sub->add_flag("--as-written", command->as_written, "Without the defaults");
  sub->add_flag("--json", command->json, "As JSON");
  add_overrides(*sub, command->overrides);
  sub->footer(
      example("  dnc-host config configs/fashion_mnist/resnet8_dnc.yaml\n"
              "  dnc-host config --diff configs/fashion_mnist/resnet8_dnc.yaml runs/resnet8_dnc"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
