#include "plugins/datasets/image_folder/list_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "plugins/datasets/common/files.h"
#include "plugins/datasets/common/json.h"
#include "plugins/datasets/image_folder/csv.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

constexpr const char* kAdvice =
    "set `list` to a text file with lines PATH LABEL, a .csv or a .jsonl file";

std::string where(const std::filesystem::path& list, size_t line) {
  return fmt::format("{}:{}", list.string(), line);
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t") == std::string::npos;
}

std::vector<ListLine> read_text_lines(const std::filesystem::path& list) {
  std::vector<ListLine> lines;
  size_t number = 0;
  for (const auto& text : read_lines(list, kAdvice)) {
    ++number;
    if (is_blank(text)) continue;
    const auto tab = text.rfind('\t');
    const auto cut = tab != std::string::npos ? tab : text.rfind(' ');
    if (cut == std::string::npos || cut == 0 || cut + 1 == text.size()) {
      throw DataError(fmt::format("{}: '{}' is no line of the form PATH LABEL", where(list, number),
                                  text.substr(0, 200)));
    }
    lines.push_back({number, text.substr(0, cut), text.substr(cut + 1)});
  }
  return lines;
}

std::vector<ListLine> read_json_lines(const std::filesystem::path& list,
                                      const ListColumns& columns) {
  std::vector<ListLine> lines;
  size_t number = 0;
  for (const auto& text : read_lines(list, kAdvice)) {
    ++number;
    if (is_blank(text)) continue;
    auto values = json_values(text, columns.names, where(list, number));
    lines.push_back({number, std::move(values[0]), std::move(values[1])});
  }
  return lines;
}

// Which field of a record has the column.
size_t find_column(const std::filesystem::path& list, const CsvRecord& header,
                   const std::string& name) {
  const auto found = std::find(header.fields.begin(), header.fields.end(), name);
  if (found == header.fields.end()) {
    throw DataError(
        fmt::format("{}: has no column '{}'{}; set `columns`, or `header: false` where "
                    "the list begins without names",
                    where(list, header.line), name, suggestion(name, header.fields)));
  }
  return static_cast<size_t>(found - header.fields.begin());
}

std::vector<ListLine> read_csv_lines(const std::filesystem::path& list,
                                     const ListColumns& columns) {
  auto records = parse_csv(read_text(list, kAdvice), list.string());
  size_t file = 0;
  size_t label = 1;
  auto record = records.begin();
  if (columns.header && record != records.end()) {
    file = find_column(list, *record, columns.names[0]);
    label = find_column(list, *record, columns.names[1]);
    ++record;
  }
  std::vector<ListLine> lines;
  for (; record != records.end(); ++record) {
    auto& fields = record->fields;
    if (fields.size() <= std::max(file, label)) {
      throw DataError(fmt::format("{}: has {} fields, but at least {} are needed",
                                  where(list, record->line), fields.size(),
                                  std::max(file, label) + 1));
    }
    lines.push_back({record->line, std::move(fields[file]), std::move(fields[label])});
  }
  return lines;
}

}  // namespace

std::vector<ListLine> read_list_lines(const std::filesystem::path& list,
                                      const ListColumns& columns) {
  const auto ending = list.extension();
  const bool is_json = ending == ".jsonl" || ending == ".ndjson" || ending == ".json";
  const bool is_csv = ending == ".csv";
  auto lines = is_csv    ? read_csv_lines(list, columns)
               : is_json ? read_json_lines(list, columns)
                         : read_text_lines(list);
  if (lines.empty()) {
    const auto keys = fmt::format("{}, {}", columns.names[0], columns.names[1]);
    throw DataError(fmt::format("{}: empty; expected {}", list.string(),
                                is_csv    ? "the columns " + keys
                                : is_json ? "lines with the keys " + keys
                                          : "lines PATH LABEL"));
  }
  return lines;
}

}  // namespace dnc
