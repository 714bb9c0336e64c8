#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "registry/config.h"

namespace dnc {
namespace {

// ---- YAML ---------------------------------------------------------------------------------------

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Whether YAML would read the bare text as something else than this text. Numbers never need it.
bool needs_quotes(const std::string& text) {
  for (const char* other : {"", "~", "null", "Null", "NULL"}) {
    if (text == other) return true;
  }
  const auto special = [](char c) {
    return is_control(c) || std::strchr(":#{}[],&*!|>'\"%@`\\", c);
  };
  if (std::any_of(text.begin(), text.end(), special)) return true;
  const auto first = static_cast<unsigned char>(text.front());
  if (first == ' ' || text.back() == ' ' || first == '?' || first >= 0x80) return true;
  if (first == '-') {
    return text.size() == 1 ||
           (!std::isdigit(static_cast<unsigned char>(text[1])) && text[1] != '.');
  }
  return text.rfind("...", 0) == 0;
}

std::string double_quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (is_control(c)) {
      constexpr const char* kDigits = "0123456789abcdef";
      out += {'\\', 'x', kDigits[c >> 4], kDigits[c & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string key_text(const std::string& key) {
  return needs_quotes(key) ? double_quoted(key) : key;
}

// References are resolved by now: a "${" that is left is plain text.
std::string scalar_text(const Node& node) {
  std::string text = node.scalar;
  for (size_t at = 0; (at = text.find("${", at)) != std::string::npos; at += 3) {
    text.insert(at, 1, '$');
  }
  return node.quoted || needs_quotes(text) ? double_quoted(text) : text;
}

bool is_flat(const Node& node) {
  return std::none_of(node.items.begin(), node.items.end(),
                      [](const Node& item) { return item.is_map() || item.is_list(); });
}

std::string inline_text(const Node& node) {
  if (node.is_scalar()) return scalar_text(node);
  if (node.is_null()) return "null";
  if (node.is_map()) return "{}";
  std::string text;
  for (const auto& item : node.items) text += (text.empty() ? "" : ", ") + inline_text(item);
  return "[" + text + "]";
}

class YamlWriter {
 public:
  explicit YamlWriter(bool origins) : origins_(origins) {}

  std::string write(const Node& node) {
    block(node, 0);
    return out_;
  }

 private:
  static bool is_inline(const Node& node) {
    if (node.is_map()) return node.entries.empty();
    return !node.is_list() || is_flat(node);
  }

  void line(std::string text, const Node& node) {
    if (origins_ && is_inline(node) && !node.origin.file.empty()) {
      if (text.size() < 44) text.resize(44, ' ');
      auto where = node.origin.where();
      std::replace_if(where.begin(), where.end(), is_control, ' ');
      text += "  # " + where;
    }
    out_ += text + "\n";
  }

  void block(const Node& node, size_t indent) {
    const std::string space(indent, ' ');
    if (is_inline(node)) {
      line(space + inline_text(node), node);
      return;
    }
    for (const auto& entry : node.entries) {
      if (is_inline(entry.value)) {
        line(space + key_text(entry.key) + ": " + inline_text(entry.value), entry.value);
      } else {
        line(space + key_text(entry.key) + ":", entry.value);
        block(entry.value, indent + 2);
      }
    }
    for (const auto& item : node.items) {
      // The first line of an item stands behind its dash.
      const auto start = out_.size();
      block(item, indent + 2);
      out_[start + indent] = '-';
    }
  }

  bool origins_;
  std::string out_;
};

// ---- JSON ---------------------------------------------------------------------------------------

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (is_control(c)) {
      constexpr const char* kDigits = "0123456789abcdef";
      out += {'\\', 'u', '0', '0', kDigits[c >> 4], kDigits[c & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

// YAML knows more ways to write a number than JSON: +1, .5, 1., 0x10.
std::optional<std::string> json_number(const std::string& text) {
  const char* begin = text.c_str();
  const char* end = begin + text.size();
  int64_t integer = 0;
  if (const auto result = std::from_chars(begin, end, integer);
      result.ec == std::errc() && result.ptr == end) {
    return std::to_string(integer);
  }
  char* stop = nullptr;
  const double value = std::strtod(begin, &stop);
  if (stop == begin || stop != end || !std::isfinite(value)) return std::nullopt;
  char buffer[40];
  return std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

std::string json_scalar(const Node& node) {
  if (!node.quoted) {
    for (const char* yes : {"true", "True", "TRUE"}) {
      if (node.scalar == yes) return "true";
    }
    for (const char* no : {"false", "False", "FALSE"}) {
      if (node.scalar == no) return "false";
    }
    if (const auto number = json_number(node.scalar)) return *number;
  }
  return json_string(node.scalar);
}

}  // namespace

std::string to_yaml(const Node& node, bool origins) { return YamlWriter(origins).write(node); }

std::string to_json(const Node& node) {
  std::string text;
  switch (node.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kScalar:
      return json_scalar(node);
    case Node::Kind::kList:
      for (const auto& item : node.items) text += (text.empty() ? "" : ", ") + to_json(item);
      return "[" + text + "]";
    case Node::Kind::kMap:
      for (const auto& entry : node.entries) {
        text += (text.empty() ? "" : ", ") + json_string(entry.key) + ": " + to_json(entry.value);
      }
      return "{" + text + "}";
  }
  return text;
}

}  // namespace dnc
