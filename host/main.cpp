#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <iostream>
#include <string_view>

#include "host/commands/commands.h"
#include "host/commands/rank_options.h"
#include "host/ending.h"
#include "host/environment.h"

namespace {

int run(int argc, char** argv) {
  CLI::App app{
      "Deep Nearest Centroids for images and pixels: train, test, compare and ask models that are "
      "assembled from plugins."};
  app.name("dnc-host");
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  app.set_version_flag("--version", DNC_VERSION);
  dnc::Action action;
  dnc::add_train(app, action);
  dnc::add_test(app, action);
  dnc::add_compare(app, action);
  dnc::add_report(app, action);
  dnc::add_logs(app, action);
  dnc::add_predict(app, action);
  dnc::add_explain(app, action);
  dnc::add_gallery(app, action);
  dnc::add_subcategories(app, action);
  dnc::add_anchor(app, action);
  dnc::add_search(app, action);
  dnc::add_add_class(app, action);
  dnc::add_remove_class(app, action);
  dnc::add_fit(app, action);
  dnc::add_knn(app, action);
  dnc::add_browse(app, action);
  dnc::add_bench(app, action);
  dnc::add_schedule(app, action);
  dnc::add_lr_range(app, action);
  dnc::add_config(app, action);
  dnc::add_check(app, action);
  dnc::add_verify_data(app, action);
  dnc::add_list(app, action);
  dnc::add_describe(app, action);
  dnc::add_schema(app, action);
  dnc::add_convert(app, action);
  dnc::add_export(app, action);
  dnc::add_serve(app, action);
  dnc::add_new(app, action);
  dnc::add_launch(app, action);
  dnc::add_plugins(app, action);
  dnc::add_completion(app, action);
  dnc::add_reference(app, action);
  dnc::add_version(app, action);
  app.footer("`dnc-host COMMAND --help` shows a command's options with an example.");
  if (argc == 1) {
    std::cout << app.help();
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "error: " << error.what() << "\n`dnc-host"
              << (argc > 1 && argv[1][0] != '-' ? std::string(" ") + argv[1] : std::string())
              << " --help` shows what there is.\n";
    return 1;
  }
  const auto command = app.get_subcommands().front()->get_name();
  const bool for_all_ranks = command == "train" || command == "test";
  if (!for_all_ranks && dnc::leave_to_rank_0(command)) return 0;
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (...) {
    const auto ending = dnc::ending_of(std::current_exception());
    std::cerr << ending.text();
    return ending.code;
  }
}
