#include "plugins/datasets/common/labels.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "plugins/datasets/common/files.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {

std::vector<std::string> class_names(const std::vector<std::string>& classes,
                                     const Path& class_file) {
  if (!classes.empty() && !class_file.empty()) {
    throw OptionError("class_file", "is given beside `classes`; leave one of them out");
  }
  if (!class_file.empty()) return read_class_names(class_file.value);
  check_class_names(classes, "classes");
  return classes;
}

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> numbered_classes(int64_t count) {
  std::vector<std::string> classes;
  for (int64_t i = 0; i < count; ++i) classes.push_back(std::to_string(i));
  return classes;
}

LabelParser::LabelParser(const std::vector<std::string>& classes) : classes_(classes) {
  for (const auto& name : classes) numbers_.emplace(name, static_cast<int64_t>(numbers_.size()));
}

int64_t LabelParser::parse(const std::string& text, const std::string& where) const {
  const auto named = numbers_.find(text);
  if (named != numbers_.end()) return named->second;
  const auto shown = text.substr(0, 200);
  const auto number = whole_number(text);
  if (classes_.empty()) {
    if (!number) {
      throw DataError(
          fmt::format("{}: label '{}' is no number; name the classes by `classes` or "
                      "`class_file`",
                      where, shown));
    }
    if (*number < 0 || *number >= kMaxClasses) {
      throw DataError(
          fmt::format("{}: label {} is not from 0 to {}", where, *number, kMaxClasses - 1));
    }
    return *number;
  }
  const auto count = static_cast<int64_t>(classes_.size());
  if (!number) {
    throw DataError(
        fmt::format("{}: no class is called '{}'{}", where, shown, suggestion(shown, classes_)));
  }
  if (*number < 0 || *number >= count) {
    throw DataError(fmt::format("{}: label {} is not within the {} classes (0 to {})", where,
                                *number, count, count - 1));
  }
  return *number;
}

}  // namespace dnc
