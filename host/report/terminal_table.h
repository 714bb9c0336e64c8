#pragma once

#include <string>
#include <vector>

namespace dnc::report {

/// A table for terminals: columns as wide as their longest cell, by the columns that UTF-8 text
/// takes up there. The first column stands left, the others right.
struct TerminalTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // each as long as the header

  /// One line each, ending with "\n"; no blanks at line ends. `ansi` prints the header bold.
  std::string to_text(bool ansi) const;
};

}  // namespace dnc::report
