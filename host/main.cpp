#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "host/commands/commands.h"
#include "host/commands/rank_options.h"
#include "host/ending.h"
#include "host/environment.h"
#include "registry/text.h"

namespace {

/// What is wrong with the command's name, where it is none of the program's; else empty.
std::string wrong_command(const CLI::App& app, const std::string& given) {
  std::vector<std::string> known;
  for (const auto* command : app.get_subcommands([](const auto*) { return true; })) {
    if (command->check_name(given)) return "";
    if (!command->get_group().empty()) known.push_back(command->get_name());  // not a hidden one
  }
  return "'" + given + "' is no command" + dnc::suggestion(given, known);
}

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
  const std::string first = argv[1];
  if (const auto wrong = first.starts_with('-') ? "" : wrong_command(app, first); !wrong.empty()) {
    std::cerr << "error: " << wrong << "\n`dnc-host --help` says what each does.\n";
    return 1;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::cerr << "error: " << error.what() << "\n`dnc-host"
              << (first.starts_with('-') ? "" : " " + first) << " --help` shows what there is.\n";
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
