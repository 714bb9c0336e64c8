#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/components_by_name.h"
#include "host/plugin_template.h"
#include "host/program.h"

namespace dnc {
namespace {

struct NewCommand {
  std::string what;
  std::string name;
  std::string kind = "backbone";
  std::string folder;

  int run() {
    Program program;
    const auto names = plugin_name(name);
    if (folder.empty()) folder = names.file;
    write_plugin(program.registry(), kind_from(kind), names, folder);
    const auto prefix = std::filesystem::path(program_file()).parent_path().parent_path();
    std::cout << fmt::format(
        "{0} has the {1} {2}. Build, test and train with it:\n"
        "  cd {0}\n"
        "  cmake -B build -DCMAKE_PREFIX_PATH={4}\n"
        "  cmake --build build && ctest --test-dir build --output-on-failure\n"
        "  dnc-host train {3}.yaml\n",
        folder, kind, names.type, names.file,
        std::filesystem::exists(prefix / "lib/cmake/dnc-host") ? prefix.string()
                                                               : "/where/dnc-host/is/installed");
    return 0;
  }
};

}  // namespace

void add_new(CLI::App& app, Action& action) {
  auto command = std::make_shared<NewCommand>();
  auto* sub = app.add_subcommand(
      "new", "Write a folder with a plugin of your own that builds, its config and its test");
  sub->add_option("what", command->what, "plugin")->required()->check(CLI::IsMember({"plugin"}));
  sub->add_option("name", command->name, "What it is called, e.g. MyNet")
      ->required()
      ->type_name("WORD");
  sub->add_option("--kind", command->kind, "What it is")
      ->check(CLI::IsMember({"backbone", "decode_head", "head", "dataset", "transform"}))
      ->capture_default_str();
  sub->add_option("-o,--out", command->folder, "The folder (default: the name in small letters)")
      ->type_name("DIR");
  sub->footer(
      example("  dnc-host new plugin MyNet\n"
              "  dnc-host new plugin CatsAndDogs --kind dataset --out plugins/cats"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
