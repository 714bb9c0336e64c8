#include "registry/node.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "registry/error.h"

namespace dnc {

std::string Origin::where() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

Node Node::make_scalar(std::string text, bool quoted) {
  Node node;
  node.kind = Kind::kScalar;
  node.scalar = std::move(text);
  node.quoted = quoted;
  return node;
}

Node Node::make_list() {
  Node node;
  node.kind = Kind::kList;
  return node;
}

Node Node::make_map() {
  Node node;
  node.kind = Kind::kMap;
  return node;
}

Node* Node::find(const std::string& key) {
  for (auto& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

const Node* Node::find(const std::string& key) const { return const_cast<Node*>(this)->find(key); }

void Node::set(const std::string& key, Node value) {
  if (auto* old = find(key)) {
    *old = std::move(value);
    return;
  }
  Origin where = value.origin;
  entries.push_back({key, std::move(value), std::move(where)});
}

void Node::erase(const std::string& key) {
  std::erase_if(entries, [&](const Entry& entry) { return entry.key == key; });
}

std::vector<std::string> Node::keys() const {
  std::vector<std::string> names;
  for (const auto& entry : entries) names.push_back(entry.key);
  return names;
}

std::string Node::type() const {
  if (is_scalar()) return scalar;
  const auto* name = find("type");
  return name && name->is_scalar() ? name->scalar : "";
}

std::string Node::describe() const {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "'" + scalar + "'";
    case Kind::kList:
      return "a list of " + std::to_string(items.size());
    case Kind::kMap:
      return "a map";
  }
  return "";
}

namespace {

[[noreturn]] void fail_at(const Origin& origin, const std::string& path, const std::string& what) {
  const auto where = origin.where();
  throw ConfigError((where.empty() ? "" : where + ": ") + (path.empty() ? "" : "'" + path + "' ") +
                    what);
}

// What a key of a map, or an index of a list, leads to; nullptr where it leads nowhere.
const Node* find_below(const Node& node, const std::string& key) {
  if (!node.is_list()) return node.find(key);
  size_t index = 0;
  const char* end = key.data() + key.size();
  const auto result = std::from_chars(key.data(), end, index);
  const bool is_index = result.ec == std::errc() && result.ptr == end;
  return is_index && index < node.items.size() ? &node.items[index] : nullptr;
}

}  // namespace

void Node::fail(const std::string& what) const { fail_at(origin, path, what); }

void Node::fail(const std::string& key, const std::string& what) const {
  // The nearest node that was written: of a.b.c that may be a.b. A default was written nowhere.
  const Node* at = this;
  const Origin* nearest = &origin;
  for (size_t begin = 0; begin <= key.size();) {
    const auto end = std::min(key.find('.', begin), key.size());
    at = find_below(*at, key.substr(begin, end - begin));
    if (!at) break;
    if (!at->origin.file.empty()) nearest = &at->origin;
    begin = end + 1;
  }
  fail_at(*nearest, path.empty() || key.empty() ? path + key : path + "." + key, what);
}

}  // namespace dnc
