#pragma once

#include <string>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// Where a value of a config was written.
struct DNC_EXPORT Origin {
  std::string file;  // a path, or "--set KEY=VALUE" for the command line
  int line = 0;      // from 1; 0 where there is no line
  int column = 0;

  /// "file:line:column", or what there is of it.
  std::string where() const;
};

/// One value of a config: nothing, a scalar, a list or a map whose order is kept. It knows where it
/// was written and, once a config is resolved, its path from the root ("model.head.momentum").
struct DNC_EXPORT Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  std::string scalar;          // kScalar: the text, without quotes
  bool quoted = false;         // kScalar: "12" in quotes is text, not a number
  std::vector<Node> items;     // kList
  std::vector<Entry> entries;  // kMap, each key once
  Origin origin;
  std::string path;

  static Node make_scalar(std::string text, bool quoted = false);
  static Node make_list();
  static Node make_map();

  bool is_null() const { return kind == Kind::kNull; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_map() const { return kind == Kind::kMap; }

  /// The value of a key of a map, or nullptr.
  const Node* find(const std::string& key) const;
  Node* find(const std::string& key);
  /// Replaces or appends.
  void set(const std::string& key, Node value);
  void erase(const std::string& key);
  std::vector<std::string> keys() const;

  /// The component that a map names: its `type`, or the text itself where the node is a scalar
  /// (`decode_head: FCN` is short for `decode_head: {type: FCN}`). Empty where there is none.
  std::string type() const;

  /// "a map", "a list of 3", "'0.1'", "nothing": for messages.
  std::string describe() const;

  /// Throws ConfigError: "file:line:column: 'path' WHAT".
  [[noreturn]] void fail(const std::string& what) const;
  /// The same for a key below this map ("a" or "a.b.c"), pointing at as much of it as is there.
  [[noreturn]] void fail(const std::string& key, const std::string& what) const;
};

struct Node::Entry {
  std::string key;
  Node value;
  Origin origin;  // of the key
};

}  // namespace dnc
