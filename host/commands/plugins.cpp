#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/program.h"
#include "registry/error.h"

namespace dnc {
namespace {

struct PluginsCommand {
  std::vector<std::string> more;

  int run() const {
    Program program;
    auto& registry = program.registry();
    for (const auto& plugin : more) {
      try {
        program.plugins().load_named(plugin);
      } catch (const PluginError& error) {
        registry.add_failure(plugin, error.what());
      }
    }
    std::cout << "dnc-host: " << host_stamp() << "\nplugins beside the program: "
              << builtin_plugin_folder().string() << "\n";
    for (const auto& plugin : program.plugins().loaded()) {
      std::cout << "\n" << plugin.file.string() << "\n  stamp: " << plugin.stamp << "\n";
      for (const auto kind : kAllKinds) {
        for (const auto* component : registry.list(kind)) {
          if (component->plugin != plugin.file.string()) continue;
          std::cout << "  " << kind_name(kind) << " " << component->name << "\n";
        }
      }
    }
    for (const auto& [plugin, reason] : registry.failures()) {
      std::cout << "\n" << plugin << "\n  did not load: " << reason << "\n";
    }
    return registry.failures().empty() ? 0 : 1;
  }
};

}  // namespace

void add_plugins(CLI::App& app, Action& action) {
  auto command = std::make_shared<PluginsCommand>();
  auto* sub = app.add_subcommand(
      "plugins", "Show each plugin with its stamp and components, or why it did not load");
  sub->add_option("plugin", command->more, "More plugins to try: paths, or names")
      ->type_name("PLUGIN");
  sub->footer(example("  dnc-host plugins ./build/my_net.so"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
