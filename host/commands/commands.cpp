#include "host/commands/commands.h"

#include <filesystem>

namespace dnc {

void add_overrides(CLI::App& command, std::vector<std::string>& overrides) {
  command
      .add_option("--set,--cfg-options", overrides,
                  "Change a key of the config, e.g. --set optimizer.lr=0.05; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

std::string example(const std::string& lines) { return "Example:\n" + lines; }

std::string program_file() { return std::filesystem::canonical("/proc/self/exe").string(); }

}  // namespace dnc
