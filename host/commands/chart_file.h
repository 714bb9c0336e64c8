#pragma once

#include <filesystem>
#include <string>

#include "host/report/svg.h"

namespace dnc {

/// Throws Error where the name of a chart's file ends neither with .svg nor with .html.
void check_chart_file(const std::filesystem::path& file);

/// Writes a chart as a file of its own, SVG or a page by its suffix. `text` stands below the title
/// of a page. Throws FileError.
void write_chart_file(const std::filesystem::path& file, const std::string& title,
                      const report::LineChart& chart, const std::string& text = "");

}  // namespace dnc
