#include "host/report/run_logs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "host/report/comparison_text.h"
#include "host/report/format.h"
#include "host/report/html.h"
#include "host/report/page.h"
#include "host/report/sections.h"
#include "host/report/series.h"
#include "host/report/terminal_plot.h"
#include "host/report/terminal_table.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc::report {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPlotRows = 6;
constexpr int64_t kMostPlotColumns = 96;

/// The last `parts` parts of a path.
std::string end_of(const fs::path& path, size_t parts) {
  const std::vector<fs::path> all(path.begin(), path.end());
  fs::path end;
  for (size_t i = all.size() - std::min(parts, all.size()); i < all.size(); ++i) end /= all[i];
  return end.string();
}

/// Names that tell the folders apart, as short as that goes.
std::vector<std::string> names_of(const std::vector<fs::path>& folders) {
  std::vector<fs::path> paths;
  size_t most = 1;
  for (const auto& folder : folders) {
    auto path = fs::absolute(folder).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();
    if (std::ranges::find(paths, path) != paths.end()) {
      throw Error(folder.string() + ": is given twice; leave one out");
    }
    most = std::max<size_t>(most, static_cast<size_t>(std::distance(path.begin(), path.end())));
    paths.push_back(std::move(path));
  }
  std::vector<std::string> names;
  for (size_t parts = 1; parts <= most; ++parts) {
    names.clear();
    for (const auto& path : paths) names.push_back(end_of(path, parts));
    if (std::set(names.begin(), names.end()).size() == names.size()) break;
  }
  return names;
}

/// The last value of a series that is a number.
SeriesPoint last_point(const Series& series) {
  const auto known = [](const SeriesPoint& point) { return std::isfinite(point.value); };
  const auto found = std::find_if(series.rbegin(), series.rend(), known);
  return found == series.rend() ? SeriesPoint{} : *found;
}

SeriesPoint highest_point(const Series& series) {
  SeriesPoint best;
  for (const auto& point : series) {
    if (std::isfinite(point.value) && !(point.value <= best.value)) best = point;
  }
  return best;
}

std::string value_text(const std::string& name, double value) {
  return is_figure(name) ? fixed(value, 4) : significant(value, 4);
}

std::string state_of(const RunSoFar& so_far) {
  const auto& reason = so_far.run.metrics.end_reason;
  if (so_far.is_complete) return reason.empty() ? "done" : reason;
  if (!reason.empty()) return "stopped: " + reason;
  return std::isfinite(so_far.steps_in_all) ? "of " + grouped(so_far.steps_in_all) + " steps"
                                            : "not finished";
}

/// A row for each run; of a figure the last value and the highest with its step, of another series
/// the last value.
TerminalTable table_of(const Comparison& comparison, const std::vector<RunSoFar>& runs,
                       const std::vector<std::string>& names) {
  TerminalTable table;
  table.header = {"run", "step", "epoch"};
  for (const auto& name : names) {
    table.header.push_back(name);
    if (is_figure(name)) table.header.insert(table.header.end(), {"best", "at step"});
  }
  table.header.insert(table.header.end(), {"step, ms", "images/s", "time", "state"});
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto& run = comparison.configs[i].runs.front();
    const auto& result = run.result;
    std::vector<std::string> row{comparison.configs[i].name, grouped(result.steps),
                                 fixed(result.epochs, 2)};
    for (const auto& name : names) {
      const auto values = series(run.metrics, name);
      row.push_back(value_text(name, last_point(values).value));
      if (!is_figure(name)) continue;
      const auto best = highest_point(values);
      row.push_back(value_text(name, best.value));
      row.push_back(std::isfinite(best.value) ? grouped(static_cast<double>(best.step))
                                              : std::string(kNothing));
    }
    row.insert(row.end(), {significant(result.step_ms_median, 3), grouped(result.images_per_second),
                           duration(result.seconds), state_of(runs[i])});
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// A series at `columns` equal distances from step 0 to `last_step`: the mean of what is logged
/// there, else what was logged before; nothing before its first value and after its last one.
std::vector<double> at_equal_distances(const Series& series, int64_t last_step, int64_t columns) {
  std::vector<double> sums(static_cast<size_t>(columns)), counts(sums.size());
  const auto column_of = [&](int64_t step) {
    return static_cast<size_t>(step * (columns - 1) / std::max<int64_t>(last_step, 1));
  };
  size_t last = 0;
  for (const auto& point : series) {
    if (!std::isfinite(point.value)) continue;
    last = column_of(point.step);
    sums[last] += point.value;
    counts[last] += 1;
  }
  double held = kUnknown;
  for (size_t i = 0; i < sums.size(); ++i) {
    if (counts[i] > 0) held = sums[i] / counts[i];
    sums[i] = i <= last ? held : kUnknown;
  }
  return sums;
}

std::string plots(const Comparison& comparison, const std::string& name, int64_t columns) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double low = infinity, high = -infinity;
  int64_t last_step = 0;
  for (const auto& config : comparison.configs) {
    for (const auto& point : series(config.runs.front().metrics, name)) {
      if (!std::isfinite(point.value)) continue;
      low = std::min(low, point.value);
      high = std::max(high, point.value);
      last_step = std::max(last_step, point.step);
    }
  }
  if (low > high) return "";
  auto text = fmt::format("\n{}\n", printable(name));
  for (const auto& config : comparison.configs) {
    const auto values = series(config.runs.front().metrics, name);
    text += printable(config.name) + "\n";
    if (values.empty()) {
      text += "  not logged\n";
      continue;
    }
    text += TerminalPlot{.values = at_equal_distances(values, last_step, columns),
                         .low = low,
                         .high = high,
                         .x_first = "step 0",
                         .x_last = grouped(static_cast<double>(last_step)),
                         .columns = columns,
                         .rows = kPlotRows}
                .to_text();
  }
  return text;
}

}  // namespace

RunLogs::RunLogs(const std::vector<fs::path>& folders) {
  const auto names = names_of(folders);
  for (size_t i = 0; i < folders.size(); ++i) {
    runs_.push_back(read_run_so_far(folders[i]));
    const auto& run = runs_.back().run;
    comparison_.configs.push_back({names[i], run.result.config, {run}});
    for (auto& name : series_names(run.metrics)) {
      if (std::ranges::find(series_, name) == series_.end()) series_.push_back(std::move(name));
    }
  }
  // Figures first, wherever they were first logged.
  std::ranges::stable_partition(series_, is_figure);
}

std::vector<std::string> RunLogs::main_series() const {
  std::vector<std::string> names;
  if (!series_.empty() && is_figure(series_.front())) names.push_back(series_.front());
  if (std::ranges::find(series_, "train/loss") != series_.end()) names.emplace_back("train/loss");
  return names;
}

std::string RunLogs::find_series(const std::string& wanted) const {
  if (std::ranges::find(series_, wanted) != series_.end()) return wanted;
  std::vector<std::string> found;
  for (const auto& name : series_) {
    if (name.ends_with("/" + wanted)) found.push_back(name);
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    throw Error(
        fmt::format("--metric: no run has logged '{}'{}", wanted, suggestion(wanted, series_)));
  }
  throw Error(fmt::format("--metric: '{}' can be {}; give the whole name", wanted,
                          fmt::join(found, " or ")));
}

std::string RunLogs::to_terminal(const std::vector<std::string>& series, int64_t columns,
                                 bool ansi) const {
  auto text = table_of(comparison_, runs_, series).to_text(ansi);
  const auto width = std::clamp<int64_t>(columns - 12, 16, kMostPlotColumns);
  for (const auto& name : series) text += plots(comparison_, name, width);
  return text;
}

std::string RunLogs::to_csv(const std::vector<std::string>& series) const {
  const auto number = [](double value) {
    return std::isfinite(value) ? fmt::format("{}", value) : "";
  };
  auto csv = csv_line({"run", "series", "step", "epoch", "value"});
  for (const auto& config : comparison_.configs) {
    for (const auto& name : series) {
      for (const auto& point : report::series(config.runs.front().metrics, name)) {
        csv += csv_line({config.name, name, fmt::format("{}", point.step), number(point.epoch),
                         number(point.value)});
      }
    }
  }
  return csv;
}

std::string RunLogs::to_html(const std::vector<std::string>& series, const std::string& command,
                             const std::string& date) const {
  const auto text = table_of(comparison_, runs_, main_series());
  DataTable table{.caption = "", .css_class = "", .head = {plain_cells(text.header)}, .body = {}};
  for (const auto& row : text.rows) table.body.push_back(plain_cells(row));
  Markup notes;
  for (const auto& run : runs_) {
    for (const auto& damage : run.damage) notes += element("li", "Left out: " + damage);
  }
  Page page;
  page.title = fmt::format("{} run{}", runs_.size(), runs_.size() == 1 ? "" : "s");
  page.body =
      section("Runs", report::table(table) +
                          (notes.empty() ? Markup() : element("ul", notes, {{"class", "notes"}})));
  page.body += section("Curves", series_charts(comparison_, series));
  page.footer = provenance(comparison_, command, date);
  return report::to_html(page);
}

}  // namespace dnc::report
