#include "host/report/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/report/format.h"

namespace dnc::report {
namespace {

// In units of the viewBox, which is about as wide as a phone, so that text stays readable there.
constexpr double kWidth = 460, kLeast = 200, kMost = 460, kMargin = 16;
constexpr int64_t kColours = 8;      // .series-0 to .series-7 of the style sheet
constexpr double kLetter = 6.4;      // about the width of one in a label
constexpr double kLabelHeight = 13;  // of a line of labels

bool is_finite(const PlanePoint& point) {
  return std::isfinite(point.first) && std::isfinite(point.second);
}

struct Bounds {
  double left = std::numeric_limits<double>::infinity();
  double right = -std::numeric_limits<double>::infinity();
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(const PlanePoint& point) {
    if (!is_finite(point)) return;
    left = std::min(left, point.first);
    right = std::max(right, point.first);
    low = std::min(low, point.second);
    high = std::max(high, point.second);
  }
  bool empty() const { return !(right >= left); }
};

// Where points lie on the paper.
class Paper {
 public:
  explicit Paper(const Bounds& bounds) : bounds_(bounds) {
    const double across = bounds.right - bounds.left, up = bounds.high - bounds.low;
    const double room = kWidth - 2 * kMargin;
    scale_ = std::min(room / std::max(across, 1e-12), (kMost - 2 * kMargin) / std::max(up, 1e-12));
    height_ = std::clamp(up * scale_ + 2 * kMargin, kLeast, kMost);
  }
  double x(const PlanePoint& point) const {
    const double middle = (bounds_.left + bounds_.right) / 2;
    return kWidth / 2 + (point.first - middle) * scale_;
  }
  double y(const PlanePoint& point) const {
    return height_ / 2 - (point.second - (bounds_.low + bounds_.high) / 2) * scale_;
  }
  double height() const { return height_; }

 private:
  Bounds bounds_;
  double scale_ = 1;
  double height_ = kLeast;
};

std::string coordinate(double value) { return fixed(value, 1); }

std::string series(std::string_view css_class, int64_t style) {
  return fmt::format("{} series-{}", css_class, style % kColours);
}

// All points of a cloud as one path: a line without length with round ends is a dot.
Markup cloud(const PointCloud& cloud, const Paper& paper) {
  std::string path;
  for (const auto& point : cloud.points) {
    if (!is_finite(point)) continue;
    path += fmt::format("M{} {}h0", coordinate(paper.x(point)), coordinate(paper.y(point)));
  }
  if (path.empty()) return {};
  return empty_element("path", {{"class", series("cloud", cloud.style)}, {"d", path}});
}

Markup circle(const PointMark& mark, const Paper& paper) {
  const auto shape = element("circle", element("title", mark.title),
                             {{"class", series(mark.hollow ? "mark hollow" : "mark", mark.style)},
                              {"cx", coordinate(paper.x(mark.at))},
                              {"cy", coordinate(paper.y(mark.at))},
                              {"r", "5"}});
  return mark.link.empty() ? shape : element("a", shape, {{"href", mark.link}});
}

// The place of a label on the paper.
struct Place {
  double left = 0;
  double right = 0;
  double base = 0;
  bool meets(const Place& other) const {
    return left < other.right && other.left < right && std::abs(base - other.base) < kLabelHeight;
  }
};

// Beside its mark or, where another label is there already, a line above or below.
Place place_of(const PointMark& mark, const Paper& paper, const std::vector<Place>& taken) {
  const double width = kLetter * static_cast<double>(display_width(mark.label));
  const double right_of = paper.x(mark.at) + 8, left_of = paper.x(mark.at) - 8 - width;
  const double left = std::clamp(right_of + width > kWidth ? left_of : right_of, 0.0, kWidth);
  Place first;
  for (const double lines : {0.0, 1.0, -1.0, 2.0, -2.0}) {
    const double base =
        std::clamp(paper.y(mark.at) + 4 + lines * kLabelHeight, 10.0, paper.height() - 3);
    const Place place{left, left + width, base};
    if (lines == 0) first = place;
    if (std::ranges::none_of(taken, [&](const auto& other) { return place.meets(other); })) {
      return place;
    }
  }
  return first;
}

}  // namespace

Markup scatter_chart(const ScatterChart& chart) {
  Bounds bounds;
  for (const auto& cloud : chart.clouds)
    std::ranges::for_each(cloud.points, [&](const auto& point) { bounds.add(point); });
  for (const auto& mark : chart.marks) bounds.add(mark.at);
  if (bounds.empty()) return {};
  const Paper paper(bounds);
  Markup clouds, marks, labels;
  std::vector<Place> taken;
  for (const auto& each : chart.clouds) clouds += cloud(each, paper);
  for (const auto& mark : chart.marks) {
    if (!is_finite(mark.at)) continue;
    marks += circle(mark, paper);
    if (mark.label.empty()) continue;
    taken.push_back(place_of(mark, paper, taken));
    labels += element("text", mark.label,
                      {{"class", "mark-label"},
                       {"x", coordinate(taken.back().left)},
                       {"y", coordinate(taken.back().base)}});
  }
  return element("svg", clouds + marks + labels,
                 {{"viewBox", fmt::format("0 0 {} {}", kWidth, coordinate(paper.height()))},
                  {"role", "img"},
                  {"aria-label", chart.title},
                  {"class", "scatter"}});
}

}  // namespace dnc::report
