#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "host/report/run_record.h"

namespace dnc::report {

/// What there is of a run in its folder, also of one that is still training, was stopped or killed.
struct RunSoFar {
  /// Of a run without result.json the figures are those of the last evaluation; steps, time and
  /// speed come from the log, the machine from environment.json, and the rest is unknown.
  RunRecord run;
  bool is_complete = false;        // it has a result.json
  double steps_in_all = kUnknown;  // by its config
  std::string tested;              // what the figures are of, where it is not the end of the run
  std::vector<MassEvent> mass;
  ShownMistakes mistakes;
  std::string config;  // YAML; with comments that say where each value was written, if known
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::string> damage;  // files and lines that cannot be read, with the reason
};

/// Throws dnc::Error where the folder is not that of a run. What is damaged is left out and named.
RunSoFar read_run_so_far(const std::filesystem::path& folder);

}  // namespace dnc::report
