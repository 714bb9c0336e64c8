#pragma once

#include <filesystem>

#include "host/report/run_record.h"

namespace dnc::report {

/// Writes result.json, which read_run() reads. Throws FileError.
void write_result(const std::filesystem::path& file, const RunResult& result);

}  // namespace dnc::report
