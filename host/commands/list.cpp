#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/components_by_name.h"
#include "host/program.h"
#include "registry/text.h"

namespace dnc {
namespace {

struct ListCommand {
  std::string kind;
  bool names = false;
  std::vector<std::string> plugins;

  int run() const {
    Program program;
    for (const auto& plugin : plugins) program.plugins().load_named(plugin);
    for (const auto each : kAllKinds) {
      if (!kind.empty() && each != kind_from(kind)) continue;
      const auto components = program.registry().list(each);
      if (!names) std::cout << kind_name(each) << "\n";
      for (const auto* component : components) {
        if (names) {
          std::cout << component->name << "\n";
          continue;
        }
        std::cout << fmt::format("  {:<22} {}", component->name, component->summary);
        if (!component->aliases.empty()) {
          std::cout << " (also: " << join(component->aliases) << ")";
        }
        std::cout << "\n";
      }
    }
    for (const auto& [plugin, reason] : program.registry().failures()) {
      std::cerr << "plugin " << plugin << " did not load: " << reason << "\n";
    }
    return 0;
  }
};

}  // namespace

void add_list(CLI::App& app, Action& action) {
  auto command = std::make_shared<ListCommand>();
  auto* sub = app.add_subcommand("list", "List the components that a config can name");
  sub->add_option("kind", command->kind, "Only this kind: backbone, head, dataset, ...")
      ->type_name("KIND");
  sub->add_flag("--names", command->names, "Only the names, one a line");
  sub->add_option("--plugin", command->plugins, "A plugin to load first")->type_name("PLUGIN");
  sub->footer(example("  dnc-host list head"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
