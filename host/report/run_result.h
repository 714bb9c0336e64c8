#pragma once

#include <filesystem>

#include "host/report/run_record.h"

namespace dnc::report {

/// Writes result.json, which read_run() reads. Throws FileError.
void write_result(const std::filesystem::path& file, const RunResult& result);

/// Writes mistakes.json, which read_mistakes() reads. Throws FileError.
void write_mistakes(const std::filesystem::path& file, const ShownMistakes& mistakes);

}  // namespace dnc::report
