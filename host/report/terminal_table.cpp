#include "host/report/terminal_table.h"

#include <algorithm>
#include <cstdint>

#include "host/report/format.h"

namespace dnc::report {
namespace {

using Row = std::vector<std::string>;

std::string line(const Row& row, const std::vector<int64_t>& widths) {
  std::string text;
  for (size_t i = 0; i < row.size(); ++i) {
    const auto cell = printable(row[i]);
    const std::string blanks(static_cast<size_t>(widths[i] - display_width(cell)), ' ');
    text += i == 0 ? cell + blanks : "  " + blanks + cell;
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

}  // namespace

std::string TerminalTable::to_text(bool ansi) const {
  std::vector<int64_t> widths(header.size(), 0);
  const auto measure = [&](const Row& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(printable(row[i])));
    }
  };
  measure(header);
  for (const auto& row : rows) measure(row);

  std::string rule;
  for (const auto width : widths) {
    rule += rule.empty() ? "" : "  ";
    for (int64_t i = 0; i < width; ++i) rule += "─";
  }
  std::string text =
      (ansi ? "\x1b[1m" : "") + line(header, widths) + (ansi ? "\x1b[0m" : "") + "\n";
  text += rule + "\n";
  for (const auto& row : rows) text += line(row, widths) + "\n";
  return text;
}

}  // namespace dnc::report
