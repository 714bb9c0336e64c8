#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/html.h"
#include "host/report/run_record.h"
#include "host/report/unknown_section.h"
#include "registry/metric.h"

namespace dnc::report {

/// What a test of a model found, with what a reader must know to repeat it.
struct TestReport {
  std::string title;
  std::string split;
  int64_t samples = 0;
  Figures figures;
  std::vector<Table> tables;  // "per_class", "confusion", ...
  ShownMistakes mistakes;
  UnknownImages unknown;   // of `test --unknown`
  std::string damaged;     // on samples that do not count; empty where all do
  std::string command;     // that made the report, as it could be typed again
  std::string checkpoint;  // with its step
  std::string views;       // how each image was shown to the model
  std::string machine;
  std::string version;
  std::string date;  // ISO 8601, UTC
};

/// The report as one self-contained HTML page.
std::string to_html(const TestReport& report);

/// The pictures of the worst mistakes with their classes and shares; nothing without any.
Markup mistake_pictures(const ShownMistakes& mistakes);

/// A table by RFC 4180, with the names of the rows in the first column, without rounding; unknown
/// values are empty.
std::string to_csv(const Table& table);

}  // namespace dnc::report
