#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>

#include "host/commands/commands.h"
#include "host/program.h"
#include "host/train/runner.h"
#include "registry/communicator.h"

namespace dnc {
namespace {

struct TrainCommand {
  std::string config;
  std::string folder;
  std::optional<int64_t> seed;
  std::vector<std::string> overrides;

  int run() {
    Program program;
    if (seed) overrides.push_back("seed=" + std::to_string(*seed));
    const auto experiment = program.experiment(config, overrides);
    apply_machine_options(experiment->options());
    if (folder.empty()) folder = "runs/" + std::filesystem::path(config).stem().string();
    SingleProcess alone;
    Runner runner(*experiment, folder, config, alone, std::cout);
    const auto end = runner.run();
    std::cout << fmt::format("{}: {}\n", folder, end.reason);
    return end.signal != 0 ? 130 : 0;
  }
};

}  // namespace

void add_train(CLI::App& app, Action& action) {
  auto command = std::make_shared<TrainCommand>();
  auto* sub = app.add_subcommand("train", "Train a model; goes on where it stopped");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_option("-o,--work-dir", command->folder, "Folder of the run (default runs/<config>)")
      ->type_name("DIR");
  sub->add_option("--seed", command->seed, "Short for --set seed=N")->type_name("N");
  add_overrides(*sub, command->overrides);
  sub->footer(example(
      "  dnc-host train configs/fashion_mnist/resnet8_dnc.yaml --set train.epochs=2\n"
      "A second call goes on from the newest checkpoint. Ctrl-C saves and ends; twice ends at once."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
