#include <fstream>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/files.h"
#include "host/program.h"
#include "host/schema.h"

namespace dnc {
namespace {

struct SchemaCommand {
  std::string output;
  std::vector<std::string> plugins;

  int run() const {
    Program program;
    for (const auto& plugin : plugins) program.plugins().load_named(plugin);
    const auto text = config_schema(program.registry());
    if (output.empty()) {
      std::cout << text;
    } else {
      write_file(output, text);
    }
    return 0;
  }
};

}  // namespace

void add_schema(CLI::App& app, Action& action) {
  auto command = std::make_shared<SchemaCommand>();
  auto* sub = app.add_subcommand(
      "schema", "Print the JSON Schema of a config, which gives editors completion and checks");
  sub->add_option("-o,--output", command->output, "A file instead of the terminal")
      ->type_name("FILE");
  sub->add_option("--plugin", command->plugins, "A plugin to load first")->type_name("PLUGIN");
  sub->footer(example("  dnc-host schema --output dnc-host.schema.json"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
