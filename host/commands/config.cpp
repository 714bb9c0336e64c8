#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/program.h"
#include "registry/config.h"

namespace dnc {
namespace {

struct ConfigCommand {
  std::string config;
  bool no_origins = false;
  bool as_written = false;
  bool json = false;
  std::vector<std::string> overrides;

  int run() const {
    Program program;
    const Node node = as_written ? program.load(config, overrides)
                                 : program.experiment(config, overrides)->resolved();
    std::cout << (json ? to_json(node) + "\n" : to_yaml(node, !no_origins));
    return 0;
  }
};

}  // namespace

void add_config(CLI::App& app, Action& action) {
  auto command = std::make_shared<ConfigCommand>();
  auto* sub = app.add_subcommand(
      "config", "Print the whole config, defaults filled in, with where each value comes from");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_flag("--no-origins", command->no_origins, "Without the comments");
  sub->add_flag("--as-written", command->as_written, "Without the defaults");
  sub->add_flag("--json", command->json, "As JSON");
  add_overrides(*sub, command->overrides);
  sub->footer(example("  dnc-host config configs/fashion_mnist/resnet8_dnc.yaml"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
