#include <c10/util/Exception.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <string_view>

#include "host/commands/commands.h"
#include "host/environment.h"
#include "registry/error.h"

namespace {

// Where the program's own words and the library's end: the first line says what, a stack is noise.
int ours(const std::string& what) {
  std::cerr
      << "internal error: " << what
      << "\nThis is a fault of dnc-host or a plugin, not of your config. Please report it with "
         "the command and the config.\n";
  return 2;
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
  dnc::add_predict(app, action);
  dnc::add_explain(app, action);
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
  dnc::add_plugins(app, action);
  dnc::add_completion(app, action);
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
  return action();
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const dnc::Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  } catch (const c10::OutOfMemoryError& error) {
    std::cerr
        << "error: out of memory: " << error.what_without_backtrace()
        << "\nTry a smaller data.batch_size, train.accumulate, or train.precision: bfloat16.\n";
    return 1;
  } catch (const c10::Error& error) {
    return ours(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return ours(error.what());
  }
}
