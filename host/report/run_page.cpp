#include "host/report/run_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/files.h"
#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/sections.h"
#include "host/report/test_page.h"

namespace dnc::report {
namespace {

/// How far the run is, in words.
std::string state_text(const RunSoFar& so_far) {
  const auto& result = so_far.run.result;
  const auto& reason = so_far.run.metrics.end_reason;
  const auto epochs =
      std::isfinite(result.epochs) ? fmt::format(" ({} epochs)", fixed(result.epochs, 1)) : "";
  const auto time = std::isfinite(result.seconds) ? " in " + duration(result.seconds) : "";
  if (so_far.is_complete) {
    const auto steps = grouped(result.steps);
    return std::isfinite(result.steps) ? fmt::format("{} steps{}{}.", steps, epochs, time) : "";
  }
  const auto of_all =
      std::isfinite(so_far.steps_in_all) ? " of " + grouped(so_far.steps_in_all) : "";
  return fmt::format("Not finished: step {}{}{}{}, {}.", grouped(result.steps), of_all, epochs,
                     time,
                     reason.empty() ? std::string("still training or killed")
                                    : fmt::format("stopped ({})", reason));
}

/// The evaluation during training with the highest main figure, where there were several.
std::string best_text(const RunSoFar& so_far, const ComparisonSummary& summary) {
  const EvaluationEvent* best = nullptr;
  const auto& evaluations = so_far.run.metrics.evaluations;
  for (const auto& event : evaluations) {
    const double value = figure(event.figures, summary.figure);
    if (!std::isfinite(value)) continue;
    if (best == nullptr || value > figure(best->figures, summary.figure)) best = &event;
  }
  if (best == nullptr || evaluations.size() < 2) return "";
  const double value = figure(best->figures, summary.figure);
  return fmt::format("The best evaluation on {} had {} at step {}.", best->split,
                     summary.share ? fixed(value * 100, 2) + " %" : fixed(value, 4),
                     grouped(static_cast<double>(best->step)));
}

Markup header(const RunSoFar& so_far, const ComparisonSummary& summary) {
  const auto best = best_text(so_far, summary);
  const auto of = so_far.tested.empty() ? "" : " The figures are those of " + so_far.tested + ".";
  return element("p", state_text(so_far) + of) + finding(summary) +
         (best.empty() ? Markup() : element("p", best, {{"class", "small"}}));
}

Markup mass(const RunSoFar& so_far) {
  if (!so_far.mass.empty()) return mass_over_time(so_far.run, so_far.mass);
  if (so_far.run.result.mass.empty()) return {};
  return element(
      "p",
      "With the hook PrototypeMass in the config (hooks: [PrototypeMass]) this page also "
      "shows how the prototypes of each class share its samples over the run.",
      {{"class", "small"}});
}

Markup config(const RunSoFar& so_far) {
  if (so_far.config.empty()) return {};
  const bool has_origins = so_far.config.find("  # ") != std::string::npos;
  return details(has_origins ? "All keys, and where each value was written; the others are defaults"
                             : "All keys",
                 preformatted(so_far.config), false);
}

Markup environment(const RunSoFar& so_far) {
  Markup list;
  for (const auto& [name, value] : so_far.environment) {
    list += element("dt", name) + element("dd", value);
  }
  if (!list.empty()) list += element("dt", "folder") + element("dd", so_far.run.folder.string());
  return list.empty() ? Markup() : element("dl", list);
}

}  // namespace

std::string to_html(const RunSoFar& so_far, const std::string& command) {
  const auto& run = so_far.run;
  Comparison comparison;
  comparison.configs.push_back({run.result.name, run.result.config, {run}});
  auto summary = summarise(comparison);
  for (const auto& text : so_far.damage) summary.notes.push_back("Left out: " + text);
  Page page{.title = run.result.name,
            .header = header(so_far, summary),
            .body = {},
            .footer = provenance(comparison, command, "")};
  page.body += section("Results", results(summary));
  page.body += section("Curves", run_curves(run));
  page.body += section("All figures", figure_table(comparison));
  page.body += section("Classes", class_table(comparison));
  page.body += section("Confusion", confusion(comparison));
  page.body += section("Worst mistakes", mistake_pictures(so_far.mistakes));
  page.body += section(
      "Prototypes", prototype_figures(comparison) + mass(so_far) + prototype_gallery(comparison));
  page.body += section("Config", config(so_far));
  page.body += section("Environment", environment(so_far));
  return to_html(page);
}

void write_run_report(const std::filesystem::path& folder) {
  const auto command = "dnc-host report " + folder.string();
  write_file(folder / "report.html", to_html(read_run_so_far(folder), command));
}

}  // namespace dnc::report
