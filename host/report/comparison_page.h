#pragma once

#include <string>

#include "host/report/comparison.h"

namespace dnc::report {

/// What the run folders do not say.
struct ReportInfo {
  std::string title;    // empty: the names of the configs
  std::string command;  // that made the report, as it could be typed again
  std::string date;     // ISO 8601, UTC; empty: that of the latest run
};

/// The comparison as one self-contained HTML page; of a single config, the report of its training.
std::string to_html(const Comparison& comparison, const ReportInfo& info);

}  // namespace dnc::report
