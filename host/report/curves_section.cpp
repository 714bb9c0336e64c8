#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/report/format.h"
#include "host/report/sections.h"
#include "host/report/series.h"
#include "host/report/svg.h"

namespace dnc::report {
namespace {

constexpr size_t kMostPoints = 240;  // more cannot be seen on a chart, and make the file large

/// Mean, lowest and highest over the runs, at the steps for which every run has a value: where one
/// is missing, the mean would jump.
std::vector<CurvePoint> over_runs(const std::vector<Series>& runs) {
  std::map<int64_t, Series> by_step;
  for (const auto& run : runs) {
    for (const auto& sample : run) by_step[sample.step].push_back(sample);
  }
  std::vector<CurvePoint> points;
  for (const auto& [step, samples] : by_step) {
    if (samples.size() != runs.size()) continue;
    std::vector<double> values;
    for (const auto& sample : samples) values.push_back(sample.value);
    const auto [low, high] = std::ranges::minmax(values);
    points.push_back({samples.front().epoch, spread(values).mean, low, high});
  }
  return points;
}

/// Means of `group` points in a row, each at the place of the last of them.
std::vector<CurvePoint> averaged(const std::vector<CurvePoint>& points, size_t group) {
  if (group <= 1) return points;
  std::vector<CurvePoint> means;
  for (size_t begin = 0; begin < points.size(); begin += group) {
    const size_t end = std::min(begin + group, points.size());
    CurvePoint sum;
    for (size_t i = begin; i < end; ++i) {
      sum.mean += points[i].mean;
      sum.low += points[i].low;
      sum.high += points[i].high;
    }
    const auto count = static_cast<double>(end - begin);
    means.push_back({points[end - 1].x, sum.mean / count, sum.low / count, sum.high / count});
  }
  return means;
}

/// At most kMostPoints of them; returns how many logged values each point stands for.
size_t thin_out(std::vector<Curve>& curves) {
  size_t most = 0;
  for (const auto& curve : curves) most = std::max(most, curve.points.size());
  const size_t group = (most + kMostPoints - 1) / kMostPoints;
  for (auto& curve : curves) curve.points = averaged(curve.points, group);
  return group;
}

/// A curve for each config that has the series.
std::vector<Curve> curves(const Comparison& comparison, const std::string& name) {
  std::vector<Curve> curves;
  for (size_t i = 0; i < comparison.configs.size(); ++i) {
    const auto& config = comparison.configs[i];
    std::vector<Series> runs;
    for (const auto& run : config.runs) {
      auto values = series(run.metrics, name);
      if (!values.empty()) runs.push_back(std::move(values));
    }
    auto points = over_runs(runs);
    if (!points.empty()) {
      curves.push_back({config.name, static_cast<int64_t>(i), std::move(points)});
    }
  }
  return curves;
}

void scale(std::vector<Curve>& curves, double factor) {
  for (auto& curve : curves) {
    for (auto& point : curve.points) {
      point = {point.x, factor * point.mean, factor * point.low, factor * point.high};
    }
  }
}

bool all_shares(const std::string& name, const std::vector<Curve>& curves) {
  std::vector<double> values;
  for (const auto& curve : curves) {
    for (const auto& point : curve.points) values.push_back(point.mean);
  }
  return is_share(name, values);
}

/// Curves of one unit with their title; shares are shown in percent.
Markup chart(std::string title, bool percent, std::vector<Curve> curves,
             const Markup& legend = {}) {
  if (curves.empty()) return {};
  const size_t group = thin_out(curves);
  if (percent) scale(curves, 100);
  const auto caption =
      group > 1 ? fmt::format("Each point is the mean of {} logged values.", group) : "";
  const LineChart chart{title + (percent ? ", %" : ""), "epoch", std::move(curves)};
  return element("figure",
                 element("figcaption", chart.title) + legend + line_chart(chart) +
                     (caption.empty() ? Markup() : element("p", caption, {{"class", "small"}})));
}

/// What a chart of a series is called: "accuracy/top1 on val", "training loss".
std::string title_of(const std::string& name) {
  if (name == "train/loss") return "training loss";
  if (name == "train/lr") return "learning rate";
  if (name == "train/step_ms") return "step time, ms";
  if (name == "train/wait_ms") return "waiting for data, ms a step";
  const auto slash = name.find('/');
  const auto before = name.substr(0, slash), after = name.substr(slash + 1);
  if (before == "train") return "training loss: " + after;
  if (before == "prototypes") return "prototypes: " + after;
  return after + " on " + before;
}

Markup series_chart(const Comparison& comparison, const std::string& name) {
  auto lines = curves(comparison, name);
  const bool percent = is_figure(name) && all_shares(name, lines);
  return chart(title_of(name), percent, std::move(lines));
}

/// The series of the main figure on the split that is evaluated during training; empty without one.
std::string main_series(const Comparison& comparison, const ComparisonSummary& summary) {
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) {
      if (run.metrics.evaluations.empty()) continue;
      const auto& [split, step, epoch, figures, prototypes] = run.metrics.evaluations.front();
      if (figures.empty()) return "";
      const bool has_main = std::ranges::any_of(
          figures, [&](const auto& figure) { return figure.first == summary.figure; });
      return split + "/" + (has_main ? summary.figure : figures.front().first);
    }
  }
  return "";
}

/// The legend of all configs, and a sentence on the bands where there are some.
Markup configs_legend(const Comparison& comparison) {
  std::vector<std::string> names;
  for (const auto& config : comparison.configs) names.push_back(config.name);
  Markup content;
  if (has_seeds(comparison)) {
    content += element("p",
                       "Lines are means over the seeds of a config; bands reach from the lowest "
                       "seed to the highest.",
                       {{"class", "small"}});
  }
  return content + legend(names);
}

/// Several series of one run in one chart, with their short names below its title.
Markup group_chart(const RunRecord& run, const std::string& title, bool percent,
                   const std::vector<std::pair<std::string, std::string>>& names) {
  std::vector<Curve> lines;
  std::vector<std::string> shown;
  for (const auto& [name, short_name] : names) {
    auto points = over_runs({series(run.metrics, name)});
    if (points.empty()) continue;
    lines.push_back({short_name, static_cast<int64_t>(lines.size()), std::move(points)});
    shown.push_back(short_name);
  }
  const auto names_of_lines = shown.size() > 1 ? legend(shown) : Markup();
  const auto whole = shown.size() == 1 ? title_of(names.front().first) : title;
  return chart(whole, percent, std::move(lines), names_of_lines);
}

/// What follows the first slash of a series' name.
std::string short_name(const std::string& name) { return name.substr(name.find('/') + 1); }

/// Series of one run, by what they can share an axis with.
struct SeriesGroups {
  using Names = std::vector<std::pair<std::string, std::string>>;  // with their short names
  std::map<std::string, Names> shares;                             // by split
  Names losses;
  Names prototypes;                 // shares
  std::vector<std::string> others;  // each by itself
};

SeriesGroups group(const Metrics& metrics) {
  SeriesGroups groups;
  for (const auto& name : series_names(metrics)) {
    std::vector<double> values;
    for (const auto& point : series(metrics, name)) values.push_back(point.value);
    const auto before = name.substr(0, name.find('/'));
    const bool share = is_share(name, values);
    if (before == "train") {
      const bool loss = name != "train/lr" && name != "train/step_ms" && name != "train/wait_ms";
      if (loss) groups.losses.emplace_back(name, short_name(name));
    } else if (!share) {
      groups.others.push_back(name);
    } else if (before == "prototypes") {
      groups.prototypes.emplace_back(name, short_name(name));
    } else {
      groups.shares[before].emplace_back(name, short_name(name));
    }
  }
  return groups;
}

}  // namespace

Markup learning_curves(const Comparison& comparison, const ComparisonSummary& summary) {
  const auto main = main_series(comparison, summary);
  return series_charts(comparison, main.empty() ? std::vector<std::string>{"train/loss"}
                                                : std::vector<std::string>{main, "train/loss"});
}

Markup series_charts(const Comparison& comparison, const std::vector<std::string>& names) {
  Markup charts;
  for (const auto& name : names) charts += series_chart(comparison, name);
  if (charts.empty()) return {};
  return configs_legend(comparison) + element("div", charts, {{"class", "charts"}});
}

Markup run_curves(const RunRecord& run) {
  const auto groups = group(run.metrics);
  Markup charts;
  for (const auto& [split, names] : groups.shares) {
    charts += group_chart(run, "figures on " + split, true, names);
  }
  charts += group_chart(run, "training losses", false, groups.losses);
  charts += group_chart(run, "learning rate", false, {{"train/lr", "lr"}});
  charts += group_chart(run, "step time, ms", false,
                        {{"train/step_ms", "step"}, {"train/wait_ms", "of it waiting for data"}});
  charts += group_chart(run, "prototypes", true, groups.prototypes);
  for (const auto& name : groups.others) {
    charts += group_chart(run, title_of(name), false, {{name, short_name(name)}});
  }
  return charts.empty() ? Markup() : element("div", charts, {{"class", "charts"}});
}

}  // namespace dnc::report
