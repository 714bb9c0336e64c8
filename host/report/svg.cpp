#include "host/report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "host/report/format.h"
#include "host/report/style.h"

namespace dnc::report {
namespace {

// In units of the viewBox, which is about as wide as a phone, so that text stays readable there.
constexpr double kWidth = 460, kHeight = 300;
constexpr double kLeft = 46, kRight = 450, kTop = 10, kBottom = 256;  // of the lines
constexpr double kDigit = 8, kPoint = 4;                              // widths, or a bit less
constexpr size_t kMostMarkers = 30;

constexpr int64_t kColours = 8;  // .series-0 to .series-7 of the style sheet
// Not as many as colours: so colour and dashes together repeat after 40 curves only.
constexpr std::array<const char*, 5> kDashes{"", "7 4", "2 3", "11 3 2 3", "5 2 1 2 1 2"};

std::string coordinate(double value) { return fixed(value, 2); }

Attributes line_style(int64_t style, std::string_view css_class) {
  Attributes attributes{{"class", fmt::format("{} series-{}", css_class, style % kColours)}};
  const std::string dashes = kDashes[static_cast<size_t>(style) % kDashes.size()];
  if (!dashes.empty()) attributes.push_back({"stroke-dasharray", dashes});
  return attributes;
}

/// The step between ticks: 1, 2 or 5 times a power of ten.
double tick_step(double range, int64_t at_most) {
  const double rough = range / static_cast<double>(std::max<int64_t>(at_most - 1, 1));
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::vector<double> multiples(double step, double low, double high) {
  std::vector<double> all;
  const auto first = static_cast<int64_t>(std::ceil(low / step - 1e-9));
  const auto last = static_cast<int64_t>(std::floor(high / step + 1e-9));
  for (int64_t i = first; i <= last; ++i) all.push_back(static_cast<double>(i) * step);
  return all;
}

struct Range {
  double low = 0;
  double high = 1;
};

/// An axis from `low` to `high`, with its ticks.
struct Axis {
  Range range;
  std::vector<double> ticks;
  int decimals = 0;
  bool log = false;  // values are powers of ten
};

Axis axis(Range range, int64_t at_most, bool to_ticks) {
  if (!(range.high > range.low)) {  // One value only: room around it.
    const double room = std::abs(range.low) * 0.05;
    range = room == 0 ? Range{0, 1} : Range{range.low - room, range.high + room};
  }
  const double step = tick_step(range.high - range.low, at_most);
  if (to_ticks) {
    range = {std::floor(range.low / step + 1e-9) * step,
             std::ceil(range.high / step - 1e-9) * step};
  }
  return {range, multiples(step, range.low, range.high),
          std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)))};
}

/// An axis of powers of ten: a tick at each, or where those are few, also at 2 and 5 times as much.
Axis log_axis(Range range) {
  if (!(range.high > range.low)) range = {range.low - 0.5, range.high + 0.5};
  Axis axis{range, {}, 0, true};
  const auto add_ticks = [&](const std::vector<double>& factors, int64_t every) {
    axis.ticks.clear();
    for (auto power = static_cast<int64_t>(std::floor(range.low)); power <= range.high; ++power) {
      for (const double factor : factors) {
        const double tick = static_cast<double>(power) + std::log10(factor);
        const bool inside = tick >= range.low - 1e-9 && tick <= range.high + 1e-9;
        if (inside && power % every == 0) axis.ticks.push_back(tick);
      }
    }
  };
  add_ticks({1}, std::max<int64_t>(1, std::llround((range.high - range.low) / 7)));
  if (axis.ticks.size() < 3) add_ticks({1, 2, 5}, 1);
  return axis;
}

std::string tick_text(const Axis& axis, double tick) {
  if (!axis.log && axis.decimals > 5) return fmt::format("{:g}", tick);  // 2e-06
  if (!axis.log) return fixed(tick, axis.decimals);
  const double value = std::pow(10, tick);
  if (value >= 0.0009 && value < 10000) return fmt::format("{:g}", value);
  const auto power = std::floor(tick + 1e-9);
  return fmt::format("{:.0f}e{:.0f}", value / std::pow(10, power), power);
}

bool is_finite(const CurvePoint& point) {
  return std::isfinite(point.x) && std::isfinite(point.mean) && std::isfinite(point.low) &&
         std::isfinite(point.high);
}

/// Where the points of a chart lie on the paper.
struct Scale {
  Axis x;
  Axis y;
  double left = kLeft;  // more where the numbers of the y axis need it
  double to_x(double value) const {
    return left + (value - x.range.low) / (x.range.high - x.range.low) * (kRight - left);
  }
  double to_y(double value) const {
    return kBottom - (value - y.range.low) / (y.range.high - y.range.low) * (kBottom - kTop);
  }
  std::string point(double x_value, double y_value) const {
    return coordinate(to_x(x_value)) + "," + coordinate(to_y(y_value));
  }
};

/// Where the lines begin, so that the numbers beside the axis are on the paper.
double left_of(const Axis& y) {
  double left = kLeft;
  for (const double tick : y.ticks) {
    double width = 0;
    for (const char each : tick_text(y, tick)) width += each == '.' ? kPoint : kDigit;
    left = std::max(left, width + 9);
  }
  return left;
}

Scale fit(const std::vector<Curve>& curves, bool log_x, bool x_from_zero) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  // x begins at the start of the training, where there is such a thing
  Range x{log_x || !x_from_zero ? infinity : 0, -infinity}, y{infinity, -infinity};
  for (const auto& curve : curves) {
    for (const auto& point : curve.points) {
      if (!is_finite(point)) continue;
      x = {std::min(x.low, point.x), std::max(x.high, point.x)};
      y = {std::min(y.low, point.low), std::max(y.high, point.high)};
    }
  }
  if (!std::isfinite(y.low)) return {axis({0, 1}, 6, false), axis({0, 1}, 6, true)};
  const auto up = axis(y, 6, true);
  return {log_x ? log_axis(x) : axis(x, 7, false), up, left_of(up)};
}

Markup axes(const Scale& scale, const std::string& x_title) {
  Markup svg;
  for (const double tick : scale.y.ticks) {
    const auto y = coordinate(scale.to_y(tick));
    svg += empty_element("line", {{"class", "grid"},
                                  {"x1", coordinate(scale.left)},
                                  {"x2", coordinate(kRight)},
                                  {"y1", y},
                                  {"y2", y}});
    svg += element("text", tick_text(scale.y, tick),
                   {{"class", "tick"},
                    {"x", coordinate(scale.left - 7)},
                    {"y", y},
                    {"dy", "0.35em"},
                    {"text-anchor", "end"}});
  }
  for (const double tick : scale.x.ticks) {
    const auto x = coordinate(scale.to_x(tick));
    svg += empty_element("line", {{"class", "axis"},
                                  {"x1", x},
                                  {"x2", x},
                                  {"y1", coordinate(kBottom)},
                                  {"y2", coordinate(kBottom + 4)}});
    svg += element(
        "text", tick_text(scale.x, tick),
        {{"class", "tick"}, {"x", x}, {"y", coordinate(kBottom + 19)}, {"text-anchor", "middle"}});
  }
  svg += empty_element("line", {{"class", "axis"},
                                {"x1", coordinate(scale.left)},
                                {"x2", coordinate(kRight)},
                                {"y1", coordinate(kBottom)},
                                {"y2", coordinate(kBottom)}});
  svg += element("text", x_title,
                 {{"class", "axis-title"},
                  {"x", coordinate((scale.left + kRight) / 2)},
                  {"y", coordinate(kBottom + 39)},
                  {"text-anchor", "middle"}});
  return svg;
}

/// The runs of finite points: each is drawn as a line of its own.
std::vector<std::vector<CurvePoint>> segments(const std::vector<CurvePoint>& points) {
  std::vector<std::vector<CurvePoint>> segments(1);
  for (const auto& point : points) {
    if (is_finite(point)) {
      segments.back().push_back(point);
    } else if (!segments.back().empty()) {
      segments.emplace_back();
    }
  }
  if (segments.back().empty()) segments.pop_back();
  return segments;
}

Markup band(const std::vector<CurvePoint>& points, int64_t style, const Scale& scale) {
  const bool has_width =
      std::ranges::any_of(points, [](const auto& point) { return point.high > point.low; });
  if (!has_width || points.size() < 2) return {};
  std::string outline;
  for (const auto& point : points) outline += scale.point(point.x, point.high) + " ";
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    outline += scale.point(point->x, point->low) + " ";
  }
  outline.pop_back();
  return empty_element(
      "polygon", {{"class", fmt::format("band series-{}", style % kColours)}, {"points", outline}});
}

Markup line(const std::vector<CurvePoint>& points, bool markers, int64_t style,
            const Scale& scale) {
  Markup svg;
  if (points.size() > 1) {
    std::string path;
    for (const auto& point : points) path += scale.point(point.x, point.mean) + " ";
    path.pop_back();
    auto attributes = line_style(style, "line");
    attributes.push_back({"points", path});
    svg += empty_element("polyline", attributes);
  }
  if (!markers && points.size() > 1) return svg;
  for (const auto& point : points) {
    svg += empty_element("circle", {{"class", fmt::format("marker series-{}", style % kColours)},
                                    {"cx", coordinate(scale.to_x(point.x))},
                                    {"cy", coordinate(scale.to_y(point.mean))},
                                    {"r", "2.5"}});
  }
  return svg;
}

/// x as the axis counts it.
std::vector<Curve> to_axis(std::vector<Curve> curves, bool log_x) {
  if (!log_x) return curves;
  for (auto& curve : curves) {
    for (auto& point : curve.points) point.x = std::log10(point.x);  // not finite at 0 and below
  }
  return curves;
}

/// `above` is room over the chart, in units of the viewBox.
Markup draw(const LineChart& chart, double above, const Attributes& more, const Markup& before) {
  const auto curves = to_axis(chart.curves, chart.log_x);
  const auto scale = fit(curves, chart.log_x, chart.x_from_zero);
  Markup bands, lines;
  for (const auto& curve : curves) {
    const bool markers = curve.points.size() <= kMostMarkers;
    for (const auto& segment : segments(curve.points)) {
      bands += band(segment, curve.style, scale);
      lines += line(segment, markers, curve.style, scale);
    }
  }
  Attributes attributes{{"viewBox", fmt::format("0 {} {} {}", 0 - above, kWidth, kHeight + above)},
                        {"role", "img"},
                        {"aria-label", chart.title + " by " + chart.x_title}};
  attributes.insert(attributes.end(), more.begin(), more.end());
  return element("svg", before + axes(scale, chart.x_title) + bands + lines, attributes);
}

}  // namespace

Markup line_chart(const LineChart& chart) { return draw(chart, 0, {}, {}); }

std::string svg_file(const LineChart& chart) {
  constexpr double kAbove = 24;
  const std::string page = "svg { background: var(--page); font-family: system-ui, sans-serif; }\n";
  const auto style = element("style", Markup::trusted(kPageColours + page + kChartStyle));
  const auto title =
      element("text", chart.title,
              {{"class", "axis-title"}, {"x", coordinate(kLeft)}, {"y", coordinate(-8)}});
  return draw(chart, kAbove,
              {{"xmlns", "http://www.w3.org/2000/svg"},
               {"width", fmt::format("{}", 2 * kWidth)},
               {"height", fmt::format("{}", 2 * (kHeight + kAbove))}},
              style + title)
             .html() +
         "\n";
}

Markup stacked_chart(const StackedChart& chart) {
  constexpr double width = 200, height = 80;
  auto [x, parts] = std::pair(chart.x, chart.parts);
  if (x.size() == 1) {  // one time is shown as if it stayed so
    x.push_back(x.front() + 1);
    parts.push_back(parts.front());
  }
  Markup areas;
  std::vector<double> below(x.size(), 0);
  for (size_t part = 0; !parts.empty() && part < parts.front().size(); ++part) {
    std::string upper, lower;
    for (size_t i = 0; i < x.size(); ++i) {
      const double across = (x[i] - x.front()) / std::max(x.back() - x.front(), 1e-9) * width;
      const auto at = [&](double share) {
        return fmt::format("{},{}", coordinate(across), coordinate(height * (1 - share)));
      };
      lower = at(below[i]) + (lower.empty() ? "" : " ") + lower;
      below[i] = std::min(below[i] + parts[i][part], 1.0);
      upper += at(below[i]) + " ";
    }
    areas += empty_element(
        "polygon",
        {{"class", fmt::format("stack series-{}", static_cast<int64_t>(part) % kColours)},
         {"points", upper + lower}});
  }
  return element("svg", areas,
                 {{"viewBox", fmt::format("0 0 {} {}", width, height)},
                  {"preserveAspectRatio", "none"},
                  {"role", "img"},
                  {"aria-label", chart.title}});
}

Markup legend(const std::vector<std::string>& names) {
  Markup items;
  for (size_t i = 0; i < names.size(); ++i) {
    auto attributes = line_style(static_cast<int64_t>(i), "line");
    attributes.insert(attributes.end(), {{"x1", "0"}, {"x2", "36"}, {"y1", "5"}, {"y2", "5"}});
    const auto swatch = element(
        "svg", empty_element("line", attributes),
        {{"viewBox", "0 0 36 10"}, {"width", "36"}, {"height", "10"}, {"aria-hidden", "true"}});
    items += element("li", swatch + element("span", names[i]));
  }
  return element("ul", items, {{"class", "legend"}});
}

std::vector<double> round_ticks(double low, double high, int64_t at_most) {
  return multiples(tick_step(high - low, at_most), low, high);
}

}  // namespace dnc::report
