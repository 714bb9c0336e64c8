#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "host/report/html.h"

namespace dnc::report {

using PlanePoint = std::pair<double, double>;  // x to the right, y up

/// Many small points of one colour.
struct PointCloud {
  int64_t style = 0;  // number of its colour
  std::vector<PlanePoint> points;
};

/// A point with a shape of its own.
struct PointMark {
  PlanePoint at;
  int64_t style = 0;
  bool hollow = false;
  std::string label;  // beside it; may be empty
  std::string title;  // shown by the pointer
  std::string link;   // page that it leads to; may be empty
};

struct ScatterChart {
  std::string title;  // for those who do not see it
  std::vector<PointCloud> clouds;
  std::vector<PointMark> marks;
};

/// An inline SVG without axes, one unit as long across as up. Points that are not finite are left
/// out; nothing without points.
Markup scatter_chart(const ScatterChart& chart);

}  // namespace dnc::report
