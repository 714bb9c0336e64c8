#include "host/train/lr_range.h"

#include <fmt/format.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/commands/chart_file.h"
#include "host/commands/commands.h"
#include "host/data/endless_batches.h"
#include "host/program.h"
#include "host/report/format.h"
#include "host/report/progress.h"
#include "host/report/terminal_plot.h"
#include "host/report/terminal_table.h"
#include "host/train/runner.h"
#include "host/train/start_model.h"
#include "host/train/step.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr size_t kRows = 14;  // of the table

struct LrRangeCommand {
  std::string config;
  LrRange::Options options;
  bool json = false;
  std::string out;
  std::vector<std::string> overrides;

  int run() const {
    if (!out.empty()) check_chart_file(out);
    LrRange range(options);
    Program program;
    const auto owned = program.experiment(config, overrides);
    auto& experiment = *owned;
    apply_machine_options(experiment.options());
    measure(experiment, range);
    json ? print_json(experiment, range) : print(experiment, range);
    if (!out.empty()) write_chart(range);
    return 0;
  }

  // Trains as the config says but for the lr, and leaves nothing behind.
  void measure(Experiment& experiment, LrRange& range) const {
    const auto& all = experiment.options();
    const auto device = experiment.device();
    SingleProcess alone;
    experiment.steps_per_epoch();  // says so where a batch is larger than the data
    const auto& data = experiment.split("train");
    const auto model = experiment.build_model();
    model->to(device);
    if (all.train.channels_last) model->to_channels_last();
    if (const auto text = start_model(experiment, *model); !text.empty()) {
      std::cerr << text << "\n";
    }
    TrainStep step(experiment, model, device, alone);
    step.set_lr([&](int64_t i) { return range.lr(i); });
    model->train();
    EndlessBatches batches(data.dataset, data.transforms, train_loader_options(all, device, alone));
    report::ProgressLine line(
        std::cerr, isatty(STDERR_FILENO) != 0,
        {.columns = report::terminal_columns(STDERR_FILENO), .plain_seconds = 30, .clock = {}});
    for (int64_t i = 0; i < options.steps; ++i) {
      const double loss = step.run(batches.next(), i).front().second.item<double>();
      report::TaskProgress shown;
      shown.label = "lr-range";
      shown.step = i + 1;
      shown.steps = options.steps;
      shown.loss = loss;
      shown.lr = range.lr(i);
      line.update(shown);
      if (!range.add(loss)) break;
    }
    line.finish();
    if (range.points().empty()) {
      throw Error(
          fmt::format("{}: the loss of the first step, with lr {:g}, is not finite; "
                      "`dnc-host check` looks at the data",
                      config, options.from));
    }
  }

  // The sum of the two, in words.
  static std::string suggestion(const char* what, const std::optional<double>& lr) {
    return fmt::format("{:<28} {}", what, lr ? report::significant(*lr, 2) : "none");
  }

  void print_json(Experiment& experiment, const LrRange& range) const {
    const auto number = [](const std::optional<double>& value) {
      return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
    };
    nlohmann::ordered_json out = {{"config", config},
                                  {"lr", experiment.base_lr()},
                                  {"steepest", number(range.steepest())},
                                  {"tenth_of_minimum", number(range.tenth_of_minimum())},
                                  {"diverged", range.diverged()},
                                  {"points", nlohmann::json::array()}};
    for (const auto& point : range.points()) {
      out["points"].push_back(
          {{"lr", point.lr}, {"loss", point.loss}, {"smoothed", point.smoothed}});
    }
    std::cout << out.dump() << "\n";
  }

  void print(Experiment& experiment, const LrRange& range) const {
    const auto& points = range.points();
    report::TerminalPlot plot;
    for (const auto& point : points) plot.values.push_back(point.smoothed);
    const auto [low, high] = std::ranges::minmax(plot.values);
    plot.low = low;
    plot.high = high;
    plot.x_first = "lr " + report::significant(points.front().lr, 2);
    plot.x_last = report::significant(points.back().lr, 2);
    std::cout << "smoothed loss\n" << plot.to_text() << "\n";

    report::TerminalTable table{{"step", "lr", "loss", "smoothed"}, {}};
    const auto rows = std::min(kRows, points.size());
    for (size_t row = 0; row < rows; ++row) {
      const auto i = rows == 1 ? 0 : row * (points.size() - 1) / (rows - 1);
      table.rows.push_back({std::to_string(i), report::significant(points[i].lr, 3),
                            report::fixed(points[i].loss, 4),
                            report::fixed(points[i].smoothed, 4)});
    }
    std::cout << table.to_text(false) << "\n";
    if (range.diverged()) {
      std::cout << fmt::format("diverged after {} of {} steps\n", points.size(), options.steps);
    }
    std::cout << suggestion("steepest descent at lr", range.steepest()) << "\n"
              << suggestion("a tenth of the minimum's lr", range.tenth_of_minimum()) << "\n"
              << suggestion("the config has", experiment.base_lr()) << "\n";
  }

  void write_chart(const LrRange& range) const {
    report::Curve loss{"loss", 1, {}}, smoothed{"smoothed", 0, {}};
    for (const auto& point : range.points()) {
      // One wild loss would press the rest of the curve flat.
      const double most = 4 * range.points().front().smoothed;
      if (point.loss < most) loss.points.push_back({point.lr, point.loss, point.loss, point.loss});
      smoothed.points.push_back({point.lr, point.smoothed, point.smoothed, point.smoothed});
    }
    report::LineChart chart{"loss", "lr", {smoothed, loss}};
    chart.log_x = true;
    write_chart_file(out, "lr range of " + config, chart,
                     suggestion("Steepest descent at lr", range.steepest()) + "; " +
                         suggestion("a tenth of the minimum's lr", range.tenth_of_minimum()));
  }
};

}  // namespace

void add_lr_range(CLI::App& app, Action& action) {
  auto command = std::make_shared<LrRangeCommand>();
  auto& options = command->options;
  auto* sub = app.add_subcommand(
      "lr-range", "Train a few steps with a growing learning rate to find a good one");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_option("--from", options.from, "The first lr")->type_name("LR")->capture_default_str();
  sub->add_option("--to", options.to, "The last lr")->type_name("LR")->capture_default_str();
  sub->add_option("--steps", options.steps, "Steps from the one to the other")
      ->type_name("N")
      ->capture_default_str();
  sub->add_flag("--json", command->json, "One JSON object with all points instead of text");
  sub->add_option("-o,--out", command->out, "A file for the plot: .svg or .html")
      ->type_name("FILE");
  add_overrides(*sub, command->overrides);
  sub->footer(example("  dnc-host lr-range configs/fashion_mnist/resnet8_dnc.yaml --out lr.svg"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
