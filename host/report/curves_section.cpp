#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "host/report/format.h"
#include "host/report/sections.h"
#include "host/report/svg.h"

namespace dnc::report {
namespace {

constexpr size_t kMostPoints = 240;  // more cannot be seen on a chart, and make the file large

/// A value at a step of a run.
struct Sample {
  int64_t step = 0;
  double epoch = 0;
  double value = 0;
};
using Samples = std::vector<Sample>;

/// Mean, lowest and highest over the runs, at the steps for which every run has a value: where one
/// is missing, the mean would jump.
std::vector<CurvePoint> over_runs(const std::vector<Samples>& runs) {
  std::map<int64_t, Samples> by_step;
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

template <typename ToSamples>
std::vector<Curve> curves(const Comparison& comparison, ToSamples to_samples) {
  std::vector<Curve> curves;
  for (size_t i = 0; i < comparison.configs.size(); ++i) {
    const auto& config = comparison.configs[i];
    std::vector<Samples> runs;
    for (const auto& run : config.runs) {
      auto samples = to_samples(run.metrics);
      if (!samples.empty()) runs.push_back(std::move(samples));
    }
    auto points = over_runs(runs);
    if (!points.empty()) {
      curves.push_back({config.name, static_cast<int64_t>(i), std::move(points)});
    }
  }
  return curves;
}

const EvaluationEvent* first_evaluation(const Comparison& comparison) {
  for (const auto& config : comparison.configs) {
    for (const auto& run : config.runs) {
      if (!run.metrics.evaluations.empty()) return &run.metrics.evaluations.front();
    }
  }
  return nullptr;
}

Markup chart(const LineChart& chart, const std::string& caption) {
  return element("figure",
                 element("figcaption", chart.title) + line_chart(chart) +
                     (caption.empty() ? Markup() : element("p", caption, {{"class", "small"}})));
}

/// The main figure of the split that is evaluated during training.
Markup figure_chart(const Comparison& comparison, const ComparisonSummary& summary) {
  const auto* const evaluation = first_evaluation(comparison);
  if (evaluation == nullptr || evaluation->figures.empty()) return {};
  const bool has_main = std::ranges::any_of(
      evaluation->figures, [&](const auto& figure) { return figure.first == summary.figure; });
  const auto name = has_main ? summary.figure : evaluation->figures.front().first;
  auto lines = curves(comparison, [&](const Metrics& metrics) {
    Samples samples;
    for (const auto& event : metrics.evaluations) {
      if (event.split != evaluation->split) continue;
      samples.push_back({event.step, event.epoch, figure(event.figures, name)});
    }
    return samples;
  });
  std::vector<double> values;
  for (const auto& line : lines) {
    for (const auto& point : line.points) values.push_back(point.mean);
  }
  const bool share = is_share(name, values);
  for (auto& line : lines) {
    for (auto& point : line.points) {
      const double scale = share ? 100 : 1;
      point = {point.x, scale * point.mean, scale * point.low, scale * point.high};
    }
  }
  if (lines.empty()) return {};
  const auto title = fmt::format("{} on {}{}", name, evaluation->split, share ? ", %" : "");
  return chart({title, "epoch", std::move(lines)}, "");
}

Markup loss_chart(const Comparison& comparison) {
  auto lines = curves(comparison, [](const Metrics& metrics) {
    Samples samples;
    for (const auto& event : metrics.train) {
      samples.push_back({event.step, event.epoch, figure(event.losses, "loss")});
    }
    return samples;
  });
  if (lines.empty()) return {};
  size_t most = 0;
  for (const auto& line : lines) most = std::max(most, line.points.size());
  const size_t group = (most + kMostPoints - 1) / kMostPoints;
  for (auto& line : lines) line.points = averaged(line.points, group);
  const auto caption =
      group > 1 ? fmt::format("Each point is the mean of {} logged values.", group) : "";
  return chart({"training loss", "epoch", std::move(lines)}, caption);
}

}  // namespace

Markup learning_curves(const Comparison& comparison, const ComparisonSummary& summary) {
  const auto charts = figure_chart(comparison, summary) + loss_chart(comparison);
  if (charts.empty()) return {};
  std::vector<std::string> names;
  bool several_seeds = false;
  for (const auto& config : comparison.configs) {
    names.push_back(config.name);
    several_seeds = several_seeds || config.runs.size() > 1;
  }
  Markup content;
  if (several_seeds) {
    content += element("p",
                       "Lines are means over the seeds of a config; bands reach from the lowest "
                       "seed to the highest.",
                       {{"class", "small"}});
  }
  return content + legend(names) + element("div", charts, {{"class", "charts"}});
}

}  // namespace dnc::report
