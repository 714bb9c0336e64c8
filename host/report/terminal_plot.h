#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dnc::report {

/// A curve for terminals, drawn with the eighths of Unicode's block elements.
struct TerminalPlot {
  std::vector<double> values;  // at equal distances in x; one that is not finite leaves a gap
  double low = 0;              // of the y axis
  double high = 1;
  std::string x_first;  // what stands below the first and the last value; may be empty
  std::string x_last;
  int64_t columns = 64;  // at most; each shows the mean of its values
  int64_t rows = 8;

  /// A line for each row and one for x, each ending with "\n"; nothing without values.
  std::string to_text() const;
};

}  // namespace dnc::report
