#include "plugins/datasets/image_folder/csv.h"

#include <fmt/format.h>

#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

class CsvParser {
 public:
  CsvParser(std::string_view text, const std::string& file) : text_(text), file_(file) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  }

  std::vector<CsvRecord> parse() {
    std::vector<CsvRecord> records;
    while (at_ < text_.size()) {
      auto record = parse_record();
      const bool is_empty = record.fields.size() == 1 && record.fields.front().empty();
      if (!is_empty) records.push_back(std::move(record));
    }
    return records;
  }

 private:
  [[noreturn]] void fail(size_t line, const char* what) const {
    throw DataError(fmt::format("{}:{}: {}", file_, line, what));
  }
  char next() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  bool at_line_end() const {
    return next() == '\n' ||
           (next() == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n'));
  }

  CsvRecord parse_record() {
    CsvRecord record{line_, {}};
    for (;;) {
      record.fields.push_back(next() == '"' ? parse_quoted() : parse_plain());
      if (next() != ',') break;
      ++at_;
    }
    if (next() == '\r') ++at_;
    ++at_;
    ++line_;
    return record;
  }

  std::string parse_plain() {
    const auto begin = at_;
    for (; next() != ',' && !at_line_end(); ++at_) {
      if (next() == '"') {
        fail(line_, "a quote inside a field that is not in quotes; write it twice, in quotes");
      }
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string parse_quoted() {
    const auto first_line = line_;
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        if (next() == ',' || at_line_end()) return field;
        if (next() != '"') fail(line_, "text behind the quote that ends a field");
      }
      line_ += text_[at_] == '\n';
      field += text_[at_];
    }
    fail(first_line, "a quote that is not closed");
  }

  std::string_view text_;
  const std::string& file_;
  size_t at_ = 0;
  size_t line_ = 1;
};

}  // namespace

std::vector<CsvRecord> parse_csv(std::string_view text, const std::string& file) {
  return CsvParser(text, file).parse();
}

}  // namespace dnc
