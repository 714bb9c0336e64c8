#include <fmt/format.h>

#include <iostream>

#include "host/commands/commands.h"
#include "host/environment.h"

namespace dnc {

void add_version(CLI::App& app, Action& action) {
  auto* sub = app.add_subcommand("version", "Print versions");
  sub->footer(example("  dnc-host version"));
  sub->callback([&action] {
    action = [] {
      const auto found = environment(torch::kCPU);
      std::cout << fmt::format("dnc-host {}\nLibTorch {}\nplugin stamp: {}\nCPU: {}, {} threads\n",
                               found.version, found.torch, found.stamp, found.cpu, found.threads);
      return 0;
    };
  });
}

}  // namespace dnc
