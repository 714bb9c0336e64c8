#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace dnc {

/// Where a list has the file and the label.
struct ListColumns {
  std::vector<std::string> names{"file", "label"};  // of a CSV file's columns, or keys of JSON
  bool header = true;                               // a CSV file begins with the names
};

/// One entry of a list, as it is written.
struct ListLine {
  size_t number = 0;  // from 1
  std::string path;
  std::string label;
};

/// The entries of a list of labelled files, by its ending: .csv; .jsonl, .ndjson or .json (one
/// object a line); anything else is text, "PATH LABEL", or "PATH<TAB>CLASS" where a class name has
/// spaces in it. Throws DataError, "FILE:LINE: ...", and for a list without entries.
std::vector<ListLine> read_list_lines(const std::filesystem::path& list,
                                      const ListColumns& columns);

}  // namespace dnc
