#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>

#include "host/commands/commands.h"
#include "host/commands/rank_options.h"
#include "host/files.h"
#include "host/train/runner.h"

namespace dnc {
namespace {

struct TrainCommand {
  std::string config;
  std::string folder;
  std::optional<int64_t> seed;
  std::vector<std::string> overrides;
  RankOptions ranks;
  int64_t check_ranks = 0;
  bool log_ranks = false;

  int run() {
    if (seed) overrides.push_back("seed=" + std::to_string(*seed));
    if (folder.empty()) folder = "runs/" + std::filesystem::path(config).stem().string();
    return on_all_ranks(ranks, [this](Ranks& ranks) { return train(ranks); });
  }

  int train(Ranks& ranks) const {
    Program program;
    use_ranks(program, ranks);
    const auto experiment = program.experiment(config, overrides);
    apply_machine_options(experiment->options());
    std::ofstream log;
    auto& out = ranks.rank() == 0 ? std::cout : open_log(log, ranks.rank());
    Runner runner(*experiment, folder, config, ranks, out);
    runner.check_ranks_every(check_ranks);
    const auto end = runner.run();
    out << fmt::format("{}: {}\n", folder, end.reason);
    return end.signal != 0 ? 130 : 0;
  }

  // Where other ranks than the first print: nowhere, or into a file of their own.
  std::ostream& open_log(std::ofstream& log, int64_t rank) const {
    if (!log_ranks) return log;  // that is not open
    create_folder(folder + "/ranks");
    log.open(fmt::format("{}/ranks/rank_{}.txt", folder, rank), std::ios::app);
    return log;
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
  add_rank_options(*sub, command->ranks);
  sub->add_option("--check-ranks", command->check_ranks,
                  "With several processes: compare their weights every N steps")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  sub->add_flag("--log-ranks", command->log_ranks,
                "With several processes: the others print into ranks/rank_1.txt, ... of the run");
  sub->footer(example(
      "  dnc-host train configs/fashion_mnist/resnet8_dnc.yaml --set train.epochs=2\n"
      "  torchrun --no-python --nproc-per-node 8 dnc-host train CONFIG   (docs/scaling.md)\n"
      "A second call goes on from the newest checkpoint. Ctrl-C saves and ends; twice ends at "
      "once."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
