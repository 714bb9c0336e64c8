#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace dnc {

/// One record of a CSV file and the line that it begins in, from 1.
struct CsvRecord {
  size_t line = 0;
  std::vector<std::string> fields;
};

/// The records of a CSV file (RFC 4180): fields between commas, in quotes where they have commas,
/// quotes (written twice) or line breaks in them; lines end with LF or CRLF. Empty lines and a byte
/// order mark are passed over. Throws DataError, "FILE:LINE: ...", for quotes that do not fit.
std::vector<CsvRecord> parse_csv(std::string_view text, const std::string& file);

}  // namespace dnc
