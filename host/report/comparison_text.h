#pragma once

#include <string>
#include <vector>

#include "host/report/comparison.h"

namespace dnc::report {

/// The summary as a table for a terminal, with what its columns mean and the notes below. `ansi`
/// allows bold print.
std::string to_terminal(const Comparison& comparison, bool ansi);

/// CSV by RFC 4180: a row for each run (`row` = "run"), then a row for each config (`row` =
/// "config") with means and deviations. Numbers are unrounded, shares in [0, 1]; unknown ones are
/// empty.
std::string to_csv(const Comparison& comparison);

/// One line of CSV, with CR LF. A field with a comma, a quote or a line end is quoted.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace dnc::report
