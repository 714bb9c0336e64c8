#include "host/weights/name_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The digits at the begin of a text as a number; none where there are none, too many, or a zero
/// before others, which no program writes.
std::optional<int64_t> leading_number(std::string_view text, size_t& length) {
  constexpr size_t kMaxDigits = 9;
  length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (length == 0 || length > kMaxDigits || (length > 1 && text[0] == '0')) return std::nullopt;
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + length, number);
  return number;
}

}  // namespace

NamePattern::NamePattern(const std::string& text) : text_(text) {
  const auto fail = [&](const char* what) {
    throw Error(fmt::format("'{}' is no pattern of names: {}", text_, what));
  };
  for (size_t at = 0; at < text.size();) {
    if (!parts_.empty() && std::holds_alternative<Rest>(parts_.back())) {
      fail("nothing can come after {*}");
    }
    if (text[at] != '{') {
      const auto end = std::min(text.find('{', at), text.size());
      parts_.emplace_back(text.substr(at, end - at));
      at = end;
      continue;
    }
    const auto end = text.find('}', at);
    if (end == std::string::npos) fail("a { without its }");
    parts_.push_back(parse_place(text.substr(at + 1, end - at - 1)));
    at = end + 1;
  }
  if (parts_.empty()) fail("it is empty");
}

NamePattern::Part NamePattern::parse_place(const std::string& body) const {
  if (body == "*") return Rest{};
  if (body.find('|') != std::string::npos) {
    Choice choice;
    for (size_t at = 0; at <= body.size();) {
      const auto end = std::min(body.find('|', at), body.size());
      choice.names.push_back(body.substr(at, end - at));
      at = end + 1;
    }
    return choice;
  }
  Number number;
  size_t length = 0;
  if (const auto scale = leading_number(body, length)) number.scale = *scale;
  const auto letter = body.begin() + static_cast<std::ptrdiff_t>(length);
  bool good = letter != body.end() && std::islower(static_cast<unsigned char>(*letter)) != 0;
  if (good) {
    number.letter = *letter;
    const std::string_view offset(letter + 1, body.end());
    if (!offset.empty()) {
      const auto value = leading_number(offset.substr(1), length);
      good = offset[0] == '+' && value && length == offset.size() - 1;
      number.offset = value.value_or(0);
    }
  }
  if (!good || number.scale == 0) {
    throw Error(
        fmt::format("'{}' is no pattern of names: '{{{}}}' is none of {{i}}, {{2i+1}}, "
                    "{{a|b}}, {{*}}",
                    text_, body));
  }
  return number;
}

std::optional<NameParts> NamePattern::match(std::string_view name) const {
  NameParts parts;
  if (!match_from(0, name, parts)) return std::nullopt;
  return parts;
}

bool NamePattern::match_from(size_t part, std::string_view name, NameParts& parts) const {
  if (part == parts_.size()) return name.empty();
  const auto& expected = parts_[part];
  if (const auto* literal = std::get_if<std::string>(&expected)) {
    return name.starts_with(*literal) && match_from(part + 1, name.substr(literal->size()), parts);
  }
  if (const auto* number = std::get_if<Number>(&expected)) {
    size_t length = 0;
    const auto found = leading_number(name, length);
    if (!found || *found < number->offset) return false;
    const auto scaled = *found - number->offset;
    if (scaled % number->scale != 0) return false;
    const auto [known, is_new] = parts.numbers.emplace(number->letter, scaled / number->scale);
    if (!is_new && known->second != scaled / number->scale) return false;
    if (match_from(part + 1, name.substr(length), parts)) return true;
    if (is_new) parts.numbers.erase(known);
    return false;
  }
  if (const auto* choice = std::get_if<Choice>(&expected)) {
    for (size_t i = 0; i < choice->names.size(); ++i) {  // one may begin as another does
      if (!name.starts_with(choice->names[i])) continue;
      parts.choices.push_back(i);
      if (match_from(part + 1, name.substr(choice->names[i].size()), parts)) return true;
      parts.choices.pop_back();
    }
    return false;
  }
  parts.rest = name;
  return !name.empty();
}

std::string NamePattern::fill(const NameParts& parts) const {
  std::string name;
  size_t choices = 0;
  for (const auto& part : parts_) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      name += *literal;
    } else if (const auto* number = std::get_if<Number>(&part)) {
      name += std::to_string(parts.numbers.at(number->letter) * number->scale + number->offset);
    } else if (const auto* choice = std::get_if<Choice>(&part)) {
      name += choice->names.at(parts.choices.at(choices++));
    } else {
      name += parts.rest;
    }
  }
  return name;
}

bool NamePattern::has_the_places_of(const NamePattern& other) const {
  const auto places = [](const NamePattern& pattern) {
    std::set<char> letters;
    std::vector<size_t> choices;
    bool rest = false;
    for (const auto& part : pattern.parts_) {
      if (const auto* number = std::get_if<Number>(&part)) letters.insert(number->letter);
      if (const auto* choice = std::get_if<Choice>(&part)) choices.push_back(choice->names.size());
      rest = rest || std::holds_alternative<Rest>(part);
    }
    return std::tuple(letters, choices, rest);
  };
  return places(*this) == places(other);
}

bool matches_wildcard(std::string_view name, std::string_view pattern) {
  // The last * takes what it must: that is enough, because each takes as little as it can.
  size_t n = 0, p = 0, star = std::string_view::npos, retry = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      retry = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++retry;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace dnc
