#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "registry/fields.h"

namespace dnc {

/// Without names, a label from this on is taken for damage.
inline constexpr int64_t kMaxClasses = 1'000'000;

/// The class names that two options give, of which one may be set; none where neither is. Throws
/// OptionError, and DataError for the file.
std::vector<std::string> class_names(const std::vector<std::string>& classes,
                                     const Path& class_file);

/// The whole text as an integer.
std::optional<int64_t> whole_number(const std::string& text);

/// The names "0", "1", ... of so many classes.
std::vector<std::string> numbered_classes(int64_t count);

/// Labels as files write them, names of classes or their numbers from 0, to numbers.
class LabelParser {
 public:
  /// Without `classes`, only numbers below kMaxClasses are labels.
  explicit LabelParser(const std::vector<std::string>& classes);
  /// Throws DataError, which begins with `where`.
  int64_t parse(const std::string& text, const std::string& where) const;

 private:
  std::vector<std::string> classes_;
  std::map<std::string, int64_t> numbers_;  // by name
};

}  // namespace dnc
