#include "host/report/terminal_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "host/report/format.h"

namespace dnc::report {
namespace {

constexpr std::array<const char*, 9> kBlocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

std::string blanks(int64_t count) {
  return std::string(static_cast<size_t>(std::max<int64_t>(count, 0)), ' ');
}

/// The mean of the finite values of each column, NaN for none.
std::vector<double> column_means(const std::vector<double>& values, int64_t columns) {
  std::vector<double> sums(static_cast<size_t>(columns)), counts(sums.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) continue;
    const auto column = i * sums.size() / values.size();
    sums[column] += values[i];
    counts[column] += 1;
  }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] /= counts[i];
  return sums;
}

}  // namespace

std::string TerminalPlot::to_text() const {
  if (values.empty()) return "";
  const auto width = std::min(columns, static_cast<int64_t>(values.size()));
  std::vector<int64_t> heights;  // in eighths of a row; at least one where there is a value
  for (const double mean : column_means(values, width)) {
    const double share = (mean - low) / (high > low ? high - low : 1);
    const auto full = static_cast<double>(rows * 8);
    heights.push_back(std::isfinite(share)
                          ? std::max<int64_t>(1, std::llround(std::clamp(share, 0.0, 1.0) * full))
                          : 0);
  }
  const auto top = significant(high, 3), bottom = significant(low, 3);
  const auto margin = std::max(display_width(top), display_width(bottom));
  std::string text;
  for (int64_t row = rows - 1; row >= 0; --row) {
    const auto label = row == rows - 1 ? top : row == 0 ? bottom : "";
    auto line = blanks(margin - display_width(label)) + label + (label.empty() ? " │" : " ┤");
    for (const auto height : heights) {
      line += kBlocks[static_cast<size_t>(std::clamp<int64_t>(height - row * 8, 0, 8))];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  if (x_first.empty() && x_last.empty()) return text;
  const auto gap = width - display_width(x_first) - display_width(x_last);
  return text + blanks(margin + 2) + x_first + blanks(std::max<int64_t>(gap, 1)) + x_last + "\n";
}

}  // namespace dnc::report
