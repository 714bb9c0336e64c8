#include "plugins/datasets/web_dataset/shard_names.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

#include "plugins/datasets/common/labels.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr size_t kMaxNames = 1'000'000;

[[noreturn]] void fail(const std::string& pattern, const std::string& what) {
  throw OptionError(
      "shards",
      fmt::format("'{}' {}; expected a pattern such as train-{{000..146}}.tar", pattern, what));
}

// "000..146": the numbers with as many digits as the ends are written with.
std::optional<std::vector<std::string>> expand_range(const std::string& pattern,
                                                     const std::string& inside) {
  const auto dots = inside.find("..");
  if (dots == std::string::npos) return std::nullopt;
  const auto low_text = inside.substr(0, dots);
  const auto low = whole_number(low_text);
  const auto high = whole_number(inside.substr(dots + 2));
  if (!low || !high || *low < 0 || *high < *low) {
    fail(pattern, fmt::format("has '{{{}}}', which is no range of numbers", inside));
  }
  if (*high - *low >= static_cast<int64_t>(kMaxNames)) fail(pattern, "stands for too many names");
  const bool padded = low_text.size() > 1 && low_text.front() == '0';
  const auto width = padded ? low_text.size() : 1;
  std::vector<std::string> numbers;
  for (int64_t i = *low; i <= *high; ++i) numbers.push_back(fmt::format("{:0{}}", i, width));
  return numbers;
}

std::vector<std::string> split_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

std::vector<std::string> expand_braces(const std::string& pattern) {
  const auto open = pattern.find('{');
  if (open == std::string::npos) return {pattern};
  const auto close = pattern.find('}', open);
  if (close == std::string::npos) fail(pattern, "has a '{' without '}'");
  const auto inside = pattern.substr(open + 1, close - open - 1);
  auto choices = expand_range(pattern, inside);
  if (!choices) choices = split_commas(inside);
  const auto ends = expand_braces(pattern.substr(close + 1));
  if (choices->size() * ends.size() > kMaxNames) fail(pattern, "stands for too many names");
  std::vector<std::string> names;
  for (const auto& choice : *choices) {
    for (const auto& end : ends) names.push_back(pattern.substr(0, open) + choice + end);
  }
  return names;
}

}  // namespace dnc
