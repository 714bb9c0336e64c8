#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dnc {

/// What the places of a pattern stand for in one name.
struct NameParts {
  std::map<char, int64_t> numbers;
  std::vector<size_t> choices;  // which of each choice, in their order
  std::string rest;
};

/// A pattern for dotted names of tensors, such as "layers.{i}.blocks.{b}.mlp.{fc1|fc2}.{*}":
///
///   {i}       a number, from 0; one letter
///   {2i+1}    a number that is so many times i, plus so many
///   {a|b|c}   one of these, which may have dots
///   {*}       the rest of the name, at least one character; only at the end
///
/// What a name has in these places can be put into another pattern, which gives the name that the
/// same tensor has elsewhere.
class NamePattern {
 public:
  /// Throws Error for a text that is no pattern.
  explicit NamePattern(const std::string& text);

  const std::string& text() const { return text_; }
  std::optional<NameParts> match(std::string_view name) const;
  /// The name with these parts in its places; they come from a pattern with the same places.
  std::string fill(const NameParts& parts) const;
  /// Whether what one captures is what the other needs.
  bool has_the_places_of(const NamePattern& other) const;

 private:
  struct Number {
    char letter = 'i';
    int64_t scale = 1;
    int64_t offset = 0;
  };
  struct Choice {
    std::vector<std::string> names;
  };
  struct Rest {};
  using Part = std::variant<std::string, Number, Choice, Rest>;

  Part parse_place(const std::string& body) const;
  bool match_from(size_t part, std::string_view name, NameParts& parts) const;

  std::string text_;
  std::vector<Part> parts_;
};

/// Whether a name fits a pattern in which * stands for any text: "head.*".
bool matches_wildcard(std::string_view name, std::string_view pattern);

}  // namespace dnc
