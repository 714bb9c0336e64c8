#include "host/report/unknown_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/format.h"
#include "host/report/svg.h"

namespace dnc::report {
namespace {

constexpr int64_t kBins = 40;

Markup small(const std::string& text) { return element("p", text, {{"class", "small"}}); }

std::string percent(double share) { return fixed(share * 100, 2); }

Markup table_of_scores(const UnknownImages& unknown) {
  DataTable out{.caption = "",
                .css_class = "",
                .head = {plain_cells({"score", "AUROC,\u00A0%", "FPR@95,\u00A0%"})},
                .body = {}};
  for (const auto& score : unknown.scores) {
    out.body.push_back(plain_cells({score.score, percent(score.auroc), percent(score.fpr_at_95)}));
  }
  Markup meanings;
  for (const auto& score : unknown.scores) {
    meanings += element("dt", score.score) + element("dd", score.meaning);
  }
  return table(out) + element("dl", meanings);
}

// The outline of bars over `bins` equal parts.
Curve steps(const std::string& name, int64_t style, const std::vector<double>& shares, double low,
            double width) {
  Curve curve{name, style, {}};
  for (size_t i = 0; i < shares.size(); ++i) {
    const double left = low + static_cast<double>(i) * width;
    const double value = shares[i] * 100;
    for (const double x : {left, left + width}) curve.points.push_back({x, value, 0, value});
  }
  return curve;
}

Markup chart(const ShownSeparation& score) {
  const auto [known_low, known_high] = std::ranges::minmax(score.known);
  const auto [unknown_low, unknown_high] = std::ranges::minmax(score.unknown);
  const double low = std::min(known_low, unknown_low), high = std::max(known_high, unknown_high);
  if (!(high > low)) return {};
  const double width = (high - low) / static_cast<double>(kBins);
  LineChart chart;
  chart.title = score.score + ", share of the images, %";
  chart.x_title = score.score;
  chart.x_from_zero = false;
  chart.curves = {steps("known", 0, histogram(score.known, low, high, kBins), low, width),
                  steps("unknown", 1, histogram(score.unknown, low, high, kBins), low, width)};
  return element("figure", element("figcaption", chart.title) + line_chart(chart));
}

Markup thresholds(const UnknownImages& unknown) {
  DataTable out{.caption =
                    "An image is accepted as known where its score is at least the "
                    "threshold. Thresholds are chosen on one half of the unknown images, "
                    "and measured on the other and on all known ones.",
                .css_class = "",
                .head = {plain_cells({"score", "wanted false accepts,\u00A0%", "threshold",
                                      "measured,\u00A0%", "known rejected,\u00A0%"})},
                .body = {}};
  for (const auto& score : unknown.scores) {
    for (const auto& rate : score.rates) {
      out.body.push_back(
          plain_cells({score.score, significant(rate.wanted * 100, 3), fixed(rate.threshold, 4),
                       percent(rate.measured), percent(rate.known_rejected)}));
    }
  }
  return out.body.empty() ? Markup() : table(out);
}

}  // namespace

Markup unknown_section(const UnknownImages& unknown) {
  if (unknown.scores.empty()) return {};
  const auto& first = unknown.scores.front();
  const auto damaged =
      unknown.damaged == 0 ? std::string() : fmt::format(" {} are damaged.", unknown.damaged);
  Markup content = small(fmt::format(
      "{} known images against {} unknown ones of {}.{} AUROC is the share of pairs of a known and "
      "an unknown image in which the known one has the higher score (50 % is chance), FPR@95 the "
      "share of unknown images that pass where 95 % of the known ones do.",
      grouped(static_cast<double>(first.known.size())),
      grouped(static_cast<double>(first.unknown.size())), unknown.source, damaged));
  content += table_of_scores(unknown);
  Markup charts;
  for (const auto& score : unknown.scores) charts += chart(score);
  if (!charts.empty()) {
    content += legend({"known", "unknown"}) + element("div", charts, {{"class", "charts"}});
  }
  const auto rates = thresholds(unknown);
  if (rates.empty()) return content;
  return content + element("h3", "Thresholds") + rates +
         (unknown.file.empty() ? Markup()
                               : small(unknown.file + " has them for predict --reject."));
}

std::vector<double> histogram(const std::vector<double>& values, double low, double high,
                              int64_t bins) {
  std::vector<double> shares(static_cast<size_t>(bins));
  for (const double value : values) {
    if (!(value >= low && value <= high)) continue;
    const auto bin = static_cast<int64_t>((value - low) / (high - low) * static_cast<double>(bins));
    shares[static_cast<size_t>(std::clamp<int64_t>(bin, 0, bins - 1))] += 1;
  }
  for (auto& share : shares) share /= static_cast<double>(std::max<size_t>(values.size(), 1));
  return shares;
}

}  // namespace dnc::report
