#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/components_by_name.h"
#include "host/program.h"
#include "registry/config.h"
#include "registry/text.h"

namespace dnc {
namespace {

std::string default_text(const Field& field) {
  if (field.is_required) return "required";
  const Node value = field.value();
  if (value.is_null()) return "nothing";
  return to_json(value);
}

void print_fields(const Fields& fields, const std::string& indent) {
  for (const auto& field : fields.all()) {
    auto type = field.type_name();
    if (const auto bounds = field.bounds(); !bounds.empty()) type += ", " + bounds;
    const auto* group = std::get_if<Field::Group>(&field.target);
    const auto* list = std::get_if<Field::List>(&field.target);
    std::cout << indent << field.name << "  (" << type
              << (group ? "" : "; default " + default_text(field)) << ")\n"
              << indent << "    " << field.doc;
    if (!field.aliases.empty()) std::cout << " Also: " << join(field.aliases) << ".";
    std::cout << "\n";
    if (group) print_fields(*group->fields, indent + "  ");
    if (list) print_fields(*list->sample, indent + "  - ");
  }
}

struct DescribeCommand {
  std::string name;
  std::string kind;
  std::vector<std::string> plugins;

  int run() const {
    Program program;
    for (const auto& plugin : plugins) program.plugins().load_named(plugin);
    if (name == "config") {
      std::cout << "A config file\n\n";
      ExperimentOptions options;
      Fields fields;
      options.fields(fields);
      print_fields(fields, "  ");
      return 0;
    }
    for (const auto* component : components_called(program.registry(), name, kind)) {
      std::cout << fmt::format("{} ({})\n  {}\n", component->name, kind_name(component->kind),
                               component->summary);
      if (!component->aliases.empty()) std::cout << "  Also: " << join(component->aliases) << "\n";
      std::cout << "  From: " << component->plugin << "\n\n";
      component->with_fields([](Fields& fields) {
        if (fields.all().empty()) std::cout << "  It has no options.\n";
        print_fields(fields, "  ");
      });
    }
    return 0;
  }
};

}  // namespace

void add_describe(CLI::App& app, Action& action) {
  auto command = std::make_shared<DescribeCommand>();
  auto* sub = app.add_subcommand("describe", "Show the options of a component");
  sub->add_option("name", command->name, "A component, or 'config' for the keys of a config")
      ->required()
      ->type_name("NAME");
  sub->add_option("--kind", command->kind, "Where two kinds have the name")->type_name("KIND");
  sub->add_option("--plugin", command->plugins, "A plugin to load first")->type_name("PLUGIN");
  sub->footer(example("  dnc-host describe SGD\n  dnc-host describe config"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
