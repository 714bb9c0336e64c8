#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "host/report/run_record.h"
#include "host/run.h"

namespace dnc {

/// What a command line says that makes a run of another one: RUN, --checkpoint, --out, --set.
struct NewRun {
  std::string source;  // folder of a run or of one of its checkpoints
  std::string checkpoint = "best";
  std::string out;  // empty: see folder()
  std::vector<std::string> overrides;

  /// `out`, or the folder of the run with `ending` behind its name.
  std::filesystem::path folder(const OpenedRun& run, const std::string& ending) const;
};

/// `ending` is that of the default folder.
void add_new_run(CLI::App& command, NewRun& run, const std::string& ending);

/// The figures of two evaluations side by side, with their differences.
std::string before_and_after(const report::Figures& before, const report::Figures& after);

}  // namespace dnc
