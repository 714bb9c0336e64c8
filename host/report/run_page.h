#pragma once

#include <filesystem>
#include <string>

#include "host/report/run_so_far.h"

namespace dnc::report {

/// One run as a self-contained HTML page: what came out, curves of all that was logged, classes,
/// confusion, worst mistakes, prototypes, config and environment. Parts of which the run has
/// nothing are left out. `command` gives the page again.
std::string to_html(const RunSoFar& so_far, const std::string& command);

/// Reads the folder of a run and writes report.html into it, also where it is not finished. Throws
/// dnc::Error where it is no run, and FileError.
void write_run_report(const std::filesystem::path& folder);

}  // namespace dnc::report
