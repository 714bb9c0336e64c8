#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace dnc {

struct ModelSource;

/// What the command line chose; run after parsing, returns the exit code.
using Action = std::function<int()>;

/// Each adds one subcommand, which sets `action` when it is chosen.
void add_train(CLI::App& app, Action& action);
void add_test(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_predict(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);
void add_anchor(CLI::App& app, Action& action);
void add_gallery(CLI::App& app, Action& action);
void add_subcategories(CLI::App& app, Action& action);
void add_search(CLI::App& app, Action& action);
void add_add_class(CLI::App& app, Action& action);
void add_remove_class(CLI::App& app, Action& action);
void add_fit(CLI::App& app, Action& action);
void add_knn(CLI::App& app, Action& action);
void add_browse(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_schedule(CLI::App& app, Action& action);
void add_lr_range(CLI::App& app, Action& action);
void add_config(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_verify_data(CLI::App& app, Action& action);
void add_list(CLI::App& app, Action& action);
void add_describe(CLI::App& app, Action& action);
void add_schema(CLI::App& app, Action& action);
void add_convert(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_serve(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_logs(CLI::App& app, Action& action);
void add_new(CLI::App& app, Action& action);
void add_launch(CLI::App& app, Action& action);
void add_reference(CLI::App& app, Action& action);
void add_completion(CLI::App& app, Action& action);
void add_plugins(CLI::App& app, Action& action);
void add_version(CLI::App& app, Action& action);

/// `--set KEY=VALUE` (alias --cfg-options), repeatable.
void add_overrides(CLI::App& command, std::vector<std::string>& overrides);

/// The model that a command is about: RUN or CONFIG, --checkpoint, --weights, --classes, --set.
void add_model_source(CLI::App& command, ModelSource& source);

/// The text under a command's --help.
std::string example(const std::string& lines);

/// The program's own file, to start it again.
std::string program_file();

}  // namespace dnc
