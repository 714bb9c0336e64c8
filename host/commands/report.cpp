#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>

#include "host/commands/commands.h"
#include "host/files.h"
#include "host/report/run_page.h"
#include "host/run.h"
#include "host/train/evaluate.h"
#include "host/train/mistakes.h"
#include "registry/communicator.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

struct ReportCommand {
  std::string run_folder;
  std::string out;
  std::string checkpoint;
  std::vector<std::string> overrides;
  int64_t worst = 24;

  int run() const {
    auto so_far = report::read_run_so_far(run_folder);
    if (!checkpoint.empty()) add_test(so_far);
    const fs::path file = out.empty() ? fs::path(run_folder) / "report.html" : fs::path(out);
    write_file(file, report::to_html(so_far, command_line()));
    for (const auto& text : so_far.damage) std::cerr << "warning: left out: " << text << "\n";
    std::cout << file.string() << "\n";
    return 0;
  }

  // Tests a checkpoint: the figures, tables and mistakes are then its own.
  void add_test(report::RunSoFar& so_far) const {
    Program program;
    auto opened = open_run(program, run_folder, checkpoint, overrides);
    auto& experiment = *opened.experiment;
    const auto& data = experiment.split("test");
    const auto& options = experiment.options();
    SingleProcess alone;
    auto loader = evaluation_loader(data, options.data, static_cast<uint64_t>(options.seed), alone);
    report::WorstMistakes mistakes(worst);
    UseBatch keep;
    if (experiment.task() == Task::kImages) {
      keep = [&](const Batch& batch, const Model::Output& output) {
        add_mistakes(mistakes, batch, output);
      };
    }
    Views views;
    views.inference = options.model.inference;
    const auto found = evaluate(*opened.model, *loader, "test", experiment.build_metrics(),
                                experiment.device(), options.train.precision, alone, views, keep);
    auto& result = so_far.run.result;
    result.split = found.split;
    result.figures = found.figures;
    result.tables = found.tables;
    so_far.tested = fmt::format("{} (step {})", opened.checkpoint.string(), opened.step);
    so_far.mistakes = show_mistakes(mistakes, *data.dataset, experiment.classes());
  }

  // For the report: what gives it again.
  std::string command_line() const {
    auto text = "dnc-host report " + run_folder;
    if (!checkpoint.empty()) text += " --test " + checkpoint;
    if (!out.empty()) text += " --out " + out;
    for (const auto& change : overrides) text += " --set " + change;
    return text;
  }
};

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto command = std::make_shared<ReportCommand>();
  auto* sub = app.add_subcommand(
      "report",
      "Write report.html of a run, also of one that is still training, was stopped or killed");
  sub->add_option("run", command->run_folder, "Folder of the run")->required()->type_name("RUN");
  sub->add_option("-o,--out", command->out, "The page (default RUN/report.html)")
      ->type_name("FILE");
  sub->add_option("--test", command->checkpoint,
                  "Test a checkpoint first, for its classes, confusion and mistakes: best, newest, "
                  "or a name like step_00000391")
      ->type_name("CHECKPOINT");
  sub->add_option("--worst", command->worst, "Mistakes that are shown with --test")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_overrides(*sub, command->overrides);
  sub->footer(
      example("  dnc-host report runs/resnet8_dnc\n"
              "  dnc-host report runs/resnet8_dnc --test newest\n"
              "Without --test it reads files only, so it is quick and disturbs no training. "
              "`train` writes\n"
              "the page itself when it ends."));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
