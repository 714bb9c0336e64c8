#include "host/report/comparison_page.h"

#include <fmt/format.h>

#include "host/report/page.h"
#include "host/report/sections.h"

namespace dnc::report {
namespace {

std::string default_title(const Comparison& comparison) {
  const auto& configs = comparison.configs;
  if (configs.size() == 1) return configs.front().name;
  if (configs.size() == 2) return configs[0].name + " and " + configs[1].name;
  return fmt::format("Comparison of {} configs", configs.size());
}

}  // namespace

std::string to_html(const Comparison& comparison, const ReportInfo& info) {
  const auto summary = summarise(comparison);
  Page page{.title = info.title.empty() ? default_title(comparison) : info.title,
            .header = finding(summary),
            .body = {},
            .footer = provenance(comparison, info.command, info.date)};
  page.body += section("Results", results(summary));
  page.body += section("Learning curves", learning_curves(comparison, summary));
  page.body += section("All figures", figure_table(comparison));
  page.body += section("Classes", class_table(comparison));
  page.body += section("Confusion", confusion(comparison));
  page.body += section("Prototypes", prototype_figures(comparison) + prototype_gallery(comparison));
  page.body += section("Runs", run_table(comparison));
  return to_html(page);
}

}  // namespace dnc::report
