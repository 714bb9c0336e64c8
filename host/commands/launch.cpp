#include <memory>

#include "host/commands/commands.h"
#include "host/parallel/launcher.h"
#include "registry/error.h"

namespace dnc {

void add_launch(CLI::App& app, Action& action) {
  auto options = std::make_shared<LaunchOptions>();
  auto* sub = app.add_subcommand(
      "launch", "Run train or test in several processes on this machine, as torchrun does");
  sub->add_option("-n,--ranks", options->ranks,
                  "Processes: one a GPU, or a few with some cores each")
      ->required()
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  sub->add_option("--max-restarts", options->max_restarts,
                  "Times that all are started again after one has failed")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
  sub->add_option("--grace", options->grace,
                  "Seconds that the others have to end when one has failed")
      ->check(CLI::Range(0.0, 86400.0))
      ->type_name("SECONDS")
      ->capture_default_str();
  sub->prefix_command();  // what follows is the command of dnc-host, with its own options
  sub->footer(
      example("  dnc-host launch -n 2 train configs/fashion_mnist/resnet8_dnc.yaml -o runs/two\n"
              "  dnc-host launch -n 8 --max-restarts 3 train configs/imagenet/resnet50_a2.yaml"));
  sub->callback([options, sub, &action] {
    action = [options, sub] {
      auto words = sub->remaining();
      if (words.empty()) throw Error("launch: what shall be run? E.g. launch -n 2 train CONFIG");
      words.insert(words.begin(), program_file());
      return launch(*options, words);
    };
  });
}

}  // namespace dnc
