#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/report/confusion.h"
#include "host/report/format.h"
#include "host/report/page.h"
#include "host/report/sections.h"
#include "host/report/svg.h"

namespace dnc::report {
namespace {

/// The mass of a class's prototypes at one step; a number that is missing or no share counts 0.
std::vector<double> shares_at(const MassEvent& event, size_t label, size_t prototypes) {
  std::vector<double> shares(prototypes, 0);
  if (label >= event.mass.size()) return shares;
  const auto& row = event.mass[label];
  for (size_t k = 0; k < std::min(prototypes, row.size()); ++k) {
    if (std::isfinite(row[k])) shares[k] = std::clamp(row[k], 0.0, 1.0);
  }
  return shares;
}

/// A class's prototypes by what they have at the end, the largest first.
std::vector<size_t> by_last_mass(const std::vector<double>& last) {
  std::vector<size_t> order(last.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return last[a] > last[b]; });
  return order;
}

Markup class_chart(const std::string& name, size_t label, const std::vector<MassEvent>& events) {
  const auto prototypes = events.back().mass[label].size();
  const auto last = shares_at(events.back(), label, prototypes);
  const auto order = by_last_mass(last);
  StackedChart chart;
  for (const auto& event : events) {
    const auto shares = shares_at(event, label, prototypes);
    chart.x.push_back(static_cast<double>(event.step));
    auto& parts = chart.parts.emplace_back();
    for (const size_t k : order) parts.push_back(shares[k]);
  }
  std::vector<std::string> texts;
  for (const size_t k : order) texts.push_back(fixed(last[k] * 100, 0));
  const auto ends = fmt::format("{} %", fmt::join(texts, " · "));
  chart.title = fmt::format("{}: shares of its prototypes over the run, at the end {}", name, ends);
  return element("figure", element("figcaption", Markup(name) + empty_element("br", {}) + ends) +
                               stacked_chart(chart)) +
         Markup::trusted("\n");
}

}  // namespace

Markup mass_over_time(const RunRecord& run, const std::vector<MassEvent>& events) {
  if (events.empty() || events.back().mass.empty()) return {};
  Markup charts;
  const auto classes = events.back().mass.size();
  for (size_t label = 0; label < classes; ++label) {
    charts += class_chart(class_name(run, static_cast<int64_t>(label)), label, events);
  }
  const auto text = element(
      "p",
      fmt::format(
          "How the prototypes of each class share its training samples, from step {} (left) "
          "to step {} (right); the largest at the end lies at the bottom.",
          grouped(static_cast<double>(events.front().step)),
          grouped(static_cast<double>(events.back().step))),
      {{"class", "small"}});
  const auto content = text + element("div", charts, {{"class", "stacks"}});
  if (classes <= kMostOpenClasses) return content;
  return details(fmt::format("Shares over the run of all {} classes", classes), content, false);
}

}  // namespace dnc::report
