#include "plugins/datasets/segmentation/label_table.h"

#include <fmt/format.h>

#include <set>

#include "registry/error.h"

namespace dnc {
namespace {

constexpr uint16_t kIgnored = 255;

using Histogram = std::array<int64_t, 256>;

Histogram count_values(const Image& labels) {
  Histogram counts{};
  const uint8_t* const values = labels.pixels();
  for (int64_t i = 0; i < labels.size(); ++i) ++counts[values[i]];
  return counts;
}

// Sets what `rename` says, and notes it in `seen`.
void add_rename(const LabelRules::Rename& rename, int64_t classes, std::set<int64_t>& seen,
                std::array<uint16_t, 256>& table) {
  if (rename.to != kIgnored && rename.to >= classes) {
    throw OptionError("label_map",
                      fmt::format("maps to {}, beyond the {} classes (0 to {}; 255 = ignored)",
                                  rename.to, classes, classes - 1));
  }
  for (const int64_t from : rename.from) {
    if (!seen.insert(from).second) {
      throw OptionError("label_map", fmt::format("maps the value {} twice", from));
    }
    table[static_cast<size_t>(from)] = static_cast<uint16_t>(rename.to);
  }
}

}  // namespace

void LabelRules::Rename::fields(Fields& f) {
  f("from", from, "Values in the label files: one, or a list.").required().between(0, 255);
  f("to", to, "The class that they stand for; 255 = ignored.").required().between(0, 255);
}

LabelTable::LabelTable(int64_t classes, const LabelRules& rules) : classes_(classes) {
  if (classes > 255) {
    throw OptionError("classes", fmt::format("has {} names; label files of 8 bits hold at most 255 "
                                             "classes",
                                             classes));
  }
  for (size_t value = 0; value < 256; ++value) table_[value] = static_cast<uint16_t>(value);
  for (const int64_t value : rules.ignored) table_[static_cast<size_t>(value)] = kIgnored;
  // Before the zero is taken away there is one number more.
  const int64_t numbers = rules.reduce_zero_label ? classes + 1 : classes;
  std::set<int64_t> seen;
  for (const auto& rename : rules.renames) add_rename(rename, numbers, seen, table_);
  for (auto& id : table_) {
    if (rules.reduce_zero_label && id != kIgnored) {
      id = id == 0 ? kIgnored : static_cast<uint16_t>(id - 1);
    }
    if (id != kIgnored && id >= classes) id = kUnknown;
  }
}

void LabelTable::select(const std::vector<int64_t>& kept) {
  std::array<uint16_t, 256> position{};
  position.fill(kIgnored);
  for (size_t i = 0; i < kept.size(); ++i) {
    position[static_cast<size_t>(kept[i])] = static_cast<uint16_t>(i);
  }
  for (auto& id : table_) {
    if (id < kIgnored) id = position[id];
  }
  classes_ = static_cast<int64_t>(kept.size());
}

bool LabelTable::apply(Image& labels) const {
  uint8_t* const values = labels.pixels();
  uint16_t seen = 0;
  for (int64_t i = 0; i < labels.size(); ++i) {
    const uint16_t id = table_[values[i]];
    seen |= id;
    values[i] = static_cast<uint8_t>(id);
  }
  return (seen & kUnknown) == 0;
}

std::string LabelTable::describe_unknown(const Image& labels) const {
  constexpr int kNamed = 5;
  const auto counts = count_values(labels);
  std::string text;
  int unknown = 0;
  for (size_t value = 0; value < 256; ++value) {
    if (counts[value] == 0 || table_[value] != kUnknown) continue;
    if (++unknown > kNamed) continue;
    text += fmt::format("{}{} ({} pixel{})", text.empty() ? "" : ", ", value, counts[value],
                        counts[value] == 1 ? "" : "s");
  }
  if (unknown > kNamed) text += fmt::format(" and {} more", unknown - kNamed);
  return text;
}

bool LabelTable::looks_shifted_by_one(const Image& labels) const {
  const auto counts = count_values(labels);
  for (size_t value = 0; value < 256; ++value) {
    const bool is_highest = static_cast<int64_t>(value) == classes_;
    if (counts[value] > 0 && table_[value] == kUnknown && !is_highest) return false;
  }
  return classes_ < 255 && counts[0] > 0 && counts[static_cast<size_t>(classes_)] > 0;
}

}  // namespace dnc
