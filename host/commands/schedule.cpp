#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "host/commands/chart_file.h"
#include "host/commands/commands.h"
#include "host/program.h"
#include "host/report/comparison_text.h"
#include "host/report/format.h"
#include "host/report/terminal_plot.h"
#include "host/report/terminal_table.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kMostPoints = 1000;  // of a plot, and of a list where --every does not say
constexpr size_t kMostChanges = 10;    // of lr that are worth a row each

// How long a run is. An epoch of 0 steps: its length is not known, and nothing depends on it.
struct RunLength {
  int64_t steps = 0;
  int64_t steps_per_epoch = 0;
};

// The lr of each step: the optimizer's, times schedule, times warm-up.
class LrCurve {
 public:
  LrCurve(Experiment& experiment, RunLength length)
      : warmup_(experiment.options().warmup),
        base_lr_(experiment.base_lr()),
        steps_per_epoch_(std::max<int64_t>(length.steps_per_epoch, 1)),
        schedule_(experiment.build_schedule(length.steps, steps_per_epoch_)) {}

  double operator()(int64_t step) const {
    return base_lr_ * schedule_->factor(step) * warmup_.factor(step, steps_per_epoch_);
  }
  double base_lr() const { return base_lr_; }
  int64_t warmup_steps() const { return warmup_.length(steps_per_epoch_); }

 private:
  Warmup warmup_;
  double base_lr_;
  int64_t steps_per_epoch_;
  std::shared_ptr<Schedule> schedule_;
};

// The steps 0, every, 2 every, ..., and the last one.
std::vector<int64_t> every_so_many(int64_t steps, int64_t every) {
  std::vector<int64_t> chosen;
  for (int64_t step = 0; step < steps; step += every) chosen.push_back(step);
  if (chosen.back() != steps - 1) chosen.push_back(steps - 1);
  return chosen;
}

int64_t wide_step(int64_t steps) { return (steps + kMostPoints - 1) / kMostPoints; }

// Whether the lr would be the same for an epoch of any length, so that no data needs to be counted.
bool counts_steps_only(Experiment& experiment, int64_t steps) {
  const LrCurve short_epochs(experiment, {steps, 1}), long_epochs(experiment, {steps, steps + 1});
  const auto chosen = every_so_many(steps, wide_step(steps));
  return std::ranges::all_of(chosen,
                             [&](int64_t step) { return short_epochs(step) == long_epochs(step); });
}

RunLength length_of(Experiment& experiment, const std::optional<int64_t>& samples) {
  const auto& options = experiment.options();
  if (options.train.steps && !samples && counts_steps_only(experiment, *options.train.steps)) {
    return {*options.train.steps, 0};
  }
  if (!samples) return {experiment.steps(), experiment.steps_per_epoch()};
  const auto batch = options.data.batch_size;
  const auto per_epoch = options.data.drop_last ? *samples / batch : (*samples + batch - 1) / batch;
  if (per_epoch == 0) {
    throw Error(
        fmt::format("--samples: {} samples are less than one batch of {}", *samples, batch));
  }
  if (options.train.steps) return {*options.train.steps, per_epoch};
  if (!options.train.epochs) return {experiment.steps(), per_epoch};  // says what is missing
  const double steps = *options.train.epochs * static_cast<double>(per_epoch);
  return {std::max<int64_t>(1, std::llround(steps)), per_epoch};
}

// Steps that tell the story: the ends, tenths (whole epochs where there are enough), the end of the
// warm-up, and after it the steps at which the lr jumps, where those are few.
std::vector<int64_t> telling_steps(const LrCurve& lr, RunLength length) {
  const auto last = length.steps - 1;
  std::set<int64_t> chosen{0, last};
  for (int64_t tenth = 1; tenth < 10; ++tenth) {
    auto step = length.steps * tenth / 10;
    if (length.steps_per_epoch > 0 && length.steps >= 10 * length.steps_per_epoch) {
      step -= step % length.steps_per_epoch;
    }
    chosen.insert(step);
  }
  const auto warm = lr.warmup_steps();
  chosen.insert(std::min(warm, last));
  std::vector<int64_t> jumps;
  constexpr int64_t kMostLooked = 1'000'000;
  const auto stride = (length.steps + kMostLooked - 1) / kMostLooked;
  for (auto step = warm + stride; step <= last && jumps.size() <= kMostChanges; step += stride) {
    const double before = lr(step - stride);
    if (std::abs(lr(step) - before) > 0.1 * before) jumps.push_back(step);
  }
  if (jumps.size() <= kMostChanges) chosen.insert(jumps.begin(), jumps.end());
  return {chosen.begin(), chosen.end()};
}

struct ScheduleCommand {
  std::string config;
  std::optional<int64_t> samples;
  std::optional<int64_t> every;
  bool json = false;
  bool csv = false;
  std::string out;
  std::vector<std::string> overrides;

  int run() const {
    if (every && !json && !csv) throw Error("--every: is for --json and --csv");
    if (!out.empty()) check_chart_file(out);
    Program program;
    const auto owned = program.experiment(config, overrides);
    auto& experiment = *owned;
    const auto length = length_of(experiment, samples);
    const LrCurve lr(experiment, length);
    if (!out.empty()) write_chart(lr, length);
    if (json) {
      print_json(experiment, lr, length);
    } else if (csv) {
      print_csv(experiment, lr, length);
    } else {
      print_head(experiment, lr, length);
      print_plot(lr, length);
      print_table(experiment, lr, length);
    }
    return 0;
  }

  std::vector<int64_t> listed(RunLength length) const {
    return every_so_many(length.steps, every.value_or(wide_step(length.steps)));
  }

  // Rules that give some parameters another lr.
  static std::vector<ParameterRules::Rule> scaled_rules(const Experiment& experiment) {
    auto rules = experiment.options().parameters.rules;
    std::erase_if(rules, [](const auto& rule) { return rule.lr_scale == 1; });
    return rules;
  }

  static double epoch(int64_t step, RunLength length) {
    return static_cast<double>(step) / static_cast<double>(length.steps_per_epoch);
  }

  void print_json(const Experiment& experiment, const LrCurve& lr, RunLength length) const {
    const bool epochs = length.steps_per_epoch > 0;
    nlohmann::ordered_json json = {{"config", config},
                                   {"base_lr", lr.base_lr()},
                                   {"steps", length.steps},
                                   {"steps_per_epoch", length.steps_per_epoch},
                                   {"warmup_steps", lr.warmup_steps()},
                                   {"groups", nlohmann::json::array()},
                                   {"points", nlohmann::json::array()}};
    if (!epochs) json["steps_per_epoch"] = nullptr;
    for (const auto& rule : scaled_rules(experiment)) {
      json["groups"].push_back({{"match", rule.match}, {"lr_scale", rule.lr_scale}});
    }
    for (const auto step : listed(length)) {
      nlohmann::ordered_json point = {{"step", step}, {"lr", lr(step)}};
      if (epochs) point["epoch"] = epoch(step, length);
      json["points"].push_back(std::move(point));
    }
    std::cout << json.dump() << "\n";
  }

  void print_csv(const Experiment& experiment, const LrCurve& lr, RunLength length) const {
    const auto rules = scaled_rules(experiment);
    std::vector<std::string> fields{"step", "epoch", "lr"};
    for (const auto& rule : rules) fields.push_back("lr of " + rule.match);
    std::cout << report::csv_line(fields);
    for (const auto step : listed(length)) {
      fields = {std::to_string(step),
                length.steps_per_epoch > 0 ? fmt::format("{}", epoch(step, length)) : "",
                fmt::format("{}", lr(step))};
      for (const auto& rule : rules) fields.push_back(fmt::format("{}", lr(step) * rule.lr_scale));
      std::cout << report::csv_line(fields);
    }
  }

  void print_head(const Experiment& experiment, const LrCurve& lr, RunLength length) const {
    const auto& options = experiment.options();
    std::cout << fmt::format("{}: {} with lr {}", config, options.optimizer.type(),
                             fmt::format("{:.4g}", lr.base_lr()));
    if (options.train.base_batch_size > 0) {
      std::cout << fmt::format(" (batch {}, meant for {})", options.data.batch_size,
                               options.train.base_batch_size);
    }
    std::cout << fmt::format(", {} over {} steps", options.schedule.type(), length.steps);
    if (length.steps_per_epoch > 0) {
      std::cout << fmt::format(" ({:.4g} epochs of {})", epoch(length.steps, length),
                               length.steps_per_epoch);
    }
    if (const auto warm = lr.warmup_steps(); warm > 0) {
      std::cout << fmt::format(", warm-up of {}", warm);
    }
    std::cout << "\n\n";
  }

  static void print_plot(const LrCurve& lr, RunLength length) {
    report::TerminalPlot plot;
    for (const auto step : every_so_many(length.steps, wide_step(length.steps))) {
      plot.values.push_back(lr(step));
    }
    plot.high = *std::ranges::max_element(plot.values);
    plot.x_first = "step 0";
    plot.x_last = std::to_string(length.steps - 1);
    std::cout << plot.to_text() << "\n";
  }

  static void print_table(const Experiment& experiment, const LrCurve& lr, RunLength length) {
    const auto rules = scaled_rules(experiment);
    std::set<double, std::greater<>> scales;  // one column each, however many rules have it
    for (const auto& rule : rules) scales.insert(rule.lr_scale);
    report::TerminalTable table;
    const bool epochs = length.steps_per_epoch > 0;
    table.header = {"step"};
    if (epochs) table.header.push_back("epoch");
    table.header.push_back("lr");
    for (const double scale : scales) table.header.push_back(fmt::format("lr × {:g}", scale));
    for (const auto step : telling_steps(lr, length)) {
      std::vector<std::string> row{std::to_string(step)};
      if (epochs) row.push_back(report::fixed(epoch(step, length), 2));
      row.push_back(fmt::format("{:.4g}", lr(step)));
      for (const double scale : scales) row.push_back(fmt::format("{:.4g}", lr(step) * scale));
      table.rows.push_back(std::move(row));
    }
    std::cout << table.to_text(false);
    for (const auto& rule : rules) {
      std::cout << fmt::format("{}lr × {:g}: {}\n", &rule == &rules.front() ? "\n" : "",
                               rule.lr_scale, rule.match);
    }
  }

  void write_chart(const LrCurve& lr, RunLength length) const {
    const bool epochs = length.steps_per_epoch > 0;
    report::Curve curve{"lr", 0, {}};
    for (const auto step : every_so_many(length.steps, wide_step(length.steps))) {
      const double value = lr(step);
      const double x = epochs ? epoch(step, length) : static_cast<double>(step);
      curve.points.push_back({x, value, value, value});
    }
    // Small numbers in thousandths, millionths, ...: the axis has no room for zeros.
    double most = 0, unit = 1;
    for (const auto& point : curve.points) most = std::max(most, point.mean);
    while (most > 0 && most / unit < 0.1) unit /= 1000;
    for (auto& point : curve.points) {
      point.mean = point.low = point.high = point.mean / unit;
    }
    const auto title = unit == 1 ? std::string("lr") : fmt::format("lr, in units of {:g}", unit);
    write_chart_file(out, "Schedule of " + config, {title, epochs ? "epoch" : "step", {curve}});
  }
};

}  // namespace

void add_schedule(CLI::App& app, Action& action) {
  auto command = std::make_shared<ScheduleCommand>();
  auto* sub = app.add_subcommand("schedule", "Show the learning rate over a run");
  sub->add_option("config", command->config, "The config")->required()->type_name("CONFIG");
  sub->add_option("--samples", command->samples,
                  "Number of training samples, where the data is not at hand")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  auto* json = sub->add_flag("--json", command->json, "One JSON object instead of table and plot");
  sub->add_flag("--csv", command->csv, "CSV instead of table and plot")->excludes(json);
  sub->add_option(
         "--every", command->every,
         "Steps from one point of --json or --csv to the next (default: about 1000 points)")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  sub->add_option("-o,--out", command->out, "A file for the plot: .svg or .html")
      ->type_name("FILE");
  add_overrides(*sub, command->overrides);
  sub->footer(example(
      "  dnc-host schedule configs/fashion_mnist/resnet8_dnc.yaml\n"
      "  dnc-host schedule configs/imagenet/swin_tiny_dnc.yaml --samples 1281167 --out lr.svg"));
  sub->callback([command, &action] { action = [command] { return command->run(); }; });
}

}  // namespace dnc
