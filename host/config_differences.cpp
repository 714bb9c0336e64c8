#include "host/config_differences.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "registry/config.h"

namespace dnc {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Node& node) { return Json::parse(to_json(node)); }

bool is_leaf(const Node* node) {
  return node == nullptr || (node->is_map() && node->entries.empty()) ||
         (node->is_list() && node->items.empty()) || (!node->is_map() && !node->is_list());
}

std::string below(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

const Node* item(const Node* list, size_t index) {
  return list != nullptr && list->is_list() && index < list->items.size() ? &list->items[index]
                                                                          : nullptr;
}

const Node* value(const Node* map, const std::string& key) {
  return map != nullptr && map->is_map() ? map->find(key) : nullptr;
}

void compare(const Node* a, const Node* b, const std::string& path,
             std::vector<ConfigDifference>& found) {
  if (is_leaf(a) && is_leaf(b)) {
    const bool same = a != nullptr && b != nullptr && json_of(*a) == json_of(*b);
    if (!same && (a != nullptr || b != nullptr)) found.push_back({path, a, b});
    return;
  }
  // Where one is a leaf or they are of two kinds, each is told with all that it holds.
  const bool both_maps = a != nullptr && b != nullptr && a->is_map() && b->is_map();
  const bool both_lists = a != nullptr && b != nullptr && a->is_list() && b->is_list();
  if (a != nullptr && b != nullptr && !both_maps && !both_lists) {
    compare(a, nullptr, path, found);
    compare(nullptr, b, path, found);
    return;
  }
  std::vector<std::string> keys;
  size_t items = 0;
  for (const auto* node : {a, b}) {
    if (node == nullptr) continue;
    for (const auto& key : node->keys()) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
    items = std::max(items, node->items.size());
  }
  for (const auto& key : keys) compare(value(a, key), value(b, key), below(path, key), found);
  for (size_t i = 0; i < items; ++i) {
    compare(item(a, i), item(b, i), below(path, std::to_string(i)), found);
  }
}

std::string line(char sign, const std::string& key, const Node& node) {
  const auto origin = node.origin.where();
  const auto value = fmt::format("{} {}: {}", sign, key, to_json(node));
  return fmt::format("{:<48}  # {}\n", value, origin.empty() ? "default" : origin);
}

}  // namespace

std::vector<ConfigDifference> config_differences(const Node& a, const Node& b) {
  std::vector<ConfigDifference> found;
  compare(&a, &b, "", found);
  return found;
}

std::string to_text(const std::vector<ConfigDifference>& differences) {
  std::string text;
  for (const auto& [key, a, b] : differences) {
    if (a != nullptr) text += line('-', key, *a);
    if (b != nullptr) text += line('+', key, *b);
  }
  return text;
}

std::string to_json(const std::vector<ConfigDifference>& differences) {
  auto list = Json::array();
  const auto value = [](const Node* node) { return node == nullptr ? Json() : json_of(*node); };
  const auto origin = [](const Node* node) {
    const auto where = node == nullptr ? "" : node->origin.where();
    return where.empty() ? Json() : Json(where);
  };
  for (const auto& [key, a, b] : differences) {
    list.push_back({{"key", key},
                    {"a", value(a)},
                    {"b", value(b)},
                    {"a_origin", origin(a)},
                    {"b_origin", origin(b)}});
  }
  return list.dump(1) + "\n";
}

}  // namespace dnc
