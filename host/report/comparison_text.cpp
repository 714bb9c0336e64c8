#include "host/report/comparison_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/format.h"
#include "host/report/terminal_table.h"

namespace dnc::report {
namespace {

std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; }

std::string mean(const std::vector<double>& values) { return number(spread(values).mean); }

/// The names of all figures of all runs, in the order in which they appear.
std::vector<std::string> figure_names(const Comparison& comparison) {
  std::vector<std::string> names;
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) {
      for (const auto& [name, value] : run.result.figures) {
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
      }
    }
  }
  return names;
}

/// A column about a run's cost, and where its number is.
struct Cost {
  const char* name;
  double RunResult::*number;
};

constexpr Cost kCosts[] = {{"learnable_parameters", &RunResult::learnable_parameters},
                           {"total_parameters", &RunResult::total_parameters},
                           {"buffers", &RunResult::buffers},
                           {"steps", &RunResult::steps},
                           {"epochs", &RunResult::epochs},
                           {"seconds", &RunResult::seconds},
                           {"step_ms_median", &RunResult::step_ms_median},
                           {"step_ms_p90", &RunResult::step_ms_p90},
                           {"images_per_second", &RunResult::images_per_second},
                           {"peak_memory_mib", &RunResult::peak_memory_mib}};

std::string csv_header(const std::vector<std::string>& figures, const std::string& main_figure) {
  std::vector<std::string> fields{"row", "name", "config", "seed", "runs", "split"};
  for (const auto& name : figures) {
    fields.push_back(name);
    fields.push_back(name + " std");
  }
  for (const char* part : {"difference", "difference std", "difference low", "difference high"}) {
    fields.push_back(main_figure + " " + part);
  }
  for (const auto& cost : kCosts) fields.emplace_back(cost.name);
  fields.emplace_back("folder");
  return csv_line(fields);
}

std::string csv_run(const ConfigRuns& config, const RunRecord& run,
                    const std::vector<std::string>& figures) {
  const auto& result = run.result;
  std::vector<std::string> fields{"run", config.name, config.config, fmt::format("{}", result.seed),
                                  "1",   result.split};
  for (const auto& name : figures) {
    fields.push_back(number(figure(result.figures, name)));
    fields.emplace_back();
  }
  fields.insert(fields.end(), 4, "");
  for (const auto& cost : kCosts) fields.push_back(number(result.*cost.number));
  fields.push_back(run.folder.string());
  return csv_line(fields);
}

std::string csv_config(const ConfigRuns& config, const PairedDifference& difference,
                       const std::vector<std::string>& figures) {
  std::vector<std::string> fields{"config",
                                  config.name,
                                  config.config,
                                  "",
                                  fmt::format("{}", config.runs.size()),
                                  config.runs.front().result.split};
  for (const auto& name : figures) {
    const auto spread = figure_spread(config, name);
    fields.push_back(number(spread.mean));
    fields.push_back(number(spread.deviation));
  }
  if (difference.pairs == 0) {
    fields.insert(fields.end(), 4, "");
  } else {
    for (const double value :
         {difference.mean, difference.deviation, difference.low, difference.high}) {
      fields.push_back(number(value));
    }
  }
  for (const auto& cost : kCosts) {
    std::vector<double> values;
    for (const auto& run : config.runs) values.push_back(run.result.*cost.number);
    fields.push_back(mean(values));
  }
  fields.emplace_back();
  return csv_line(fields);
}

}  // namespace

std::string to_terminal(const Comparison& comparison, bool ansi) {
  const auto summary = summarise(comparison);
  const double scale = summary.share ? 100 : 1;
  const int decimals = summary.share ? 2 : 4;
  const bool several = summary.configs.size() > 1;

  TerminalTable table;
  table.header = {"config", summary.figure + (summary.share ? ", %" : "")};
  if (several) table.header.emplace_back("difference");
  for (const char* name : {"parameters", "step, ms", "memory, MiB", "time"}) {
    table.header.emplace_back(name);
  }
  for (const auto& config : summary.configs) {
    std::vector<std::string> row{config.name, spread_text(config.figure, scale, decimals)};
    if (several) row.push_back(difference_text(config.difference, scale, decimals));
    row.insert(row.end(), {grouped(config.learnable_parameters), significant(config.step_ms, 3),
                           grouped(config.peak_memory_mib), duration(config.seconds)});
    table.rows.push_back(std::move(row));
  }

  auto text = table.to_text(ansi);
  const auto most_seeds = std::ranges::max(summary.configs, {}, [](const auto& config) {
                            return config.seeds.size();
                          }).seeds.size();
  text += fmt::format("\n{}{}.\n",
                      summary.split.empty() ? "" : "On '" + printable(summary.split) + "'; ",
                      most_seeds > 1 ? "mean ± standard deviation over seeds" : "one seed");
  if (several) {
    text += fmt::format("Difference to {}{}.\n", printable(summary.configs.front().name),
                        most_seeds > 1 ? " by equal seeds, with its 95 % interval" : "");
  }
  for (const auto& note : summary.notes) text += "Note: " + printable(note) + "\n";
  return text;
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    const auto& field = fields[i];
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
      line += field;
      continue;
    }
    line += '"';
    for (const char c : field) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + "\r\n";
}

std::string to_csv(const Comparison& comparison) {
  const auto summary = summarise(comparison);
  const auto figures = figure_names(comparison);
  auto csv = csv_header(figures, summary.figure);
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) csv += csv_run(config, run, figures);
  }
  for (size_t i = 0; i < comparison.configs.size(); ++i) {
    csv += csv_config(comparison.configs[i], summary.configs[i].difference, figures);
  }
  return csv;
}

}  // namespace dnc::report
