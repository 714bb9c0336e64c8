#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/html.h"

namespace dnc::report {

/// A point of a line: the mean over runs, and the lowest and the highest of them.
struct CurvePoint {
  double x = 0;
  double mean = 0;
  double low = 0;
  double high = 0;
};

struct Curve {
  std::string name;
  int64_t style = 0;  // number of its colour and dashes, the same in every chart of a page
  std::vector<CurvePoint> points;  // by rising x; a point that is not finite breaks the line
};

struct LineChart {
  std::string title;    // with the unit of y: "accuracy on val, %"
  std::string x_title;  // "epoch"
  std::vector<Curve> curves;
  bool log_x = false;  // the x axis counts powers of ten; points at 0 or below break their line
  bool x_from_zero = true;  // unless log_x; else from the first point
};

/// An inline SVG with axes, a line for each curve and, where low and high differ, a band between
/// them. Colours are the style sheet's .series-N classes; dashes tell the lines apart without them.
Markup line_chart(const LineChart& chart);

/// The same as a file of its own, with its colours for light and dark screens.
std::string svg_file(const LineChart& chart);

/// Shares of a whole over time, each part as an area upon the ones before.
struct StackedChart {
  std::string title;                       // for those who do not see it
  std::vector<double> x;                   // rising
  std::vector<std::vector<double>> parts;  // [x][part], as many in each; a row sums to 1 at most
};

/// An inline SVG without axes, the first part at the bottom; it takes the width of its place.
Markup stacked_chart(const StackedChart& chart);

/// The curves' names, each beside a piece of its line.
Markup legend(const std::vector<std::string>& names);

/// Values 1, 2 or 5 times a power of ten apart, at most `at_most` of them (2 or more), that lie
/// within [low, high].
std::vector<double> round_ticks(double low, double high, int64_t at_most);

}  // namespace dnc::report
