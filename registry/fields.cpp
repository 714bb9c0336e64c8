#include "registry/fields.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "registry/text.h"

namespace dnc {
namespace {

template <typename T>
struct Parse;

template <>
struct Parse<bool> {
  static constexpr const char* kName = "true or false";
  static bool from(const Node& node, bool& value) {
    if (!node.is_scalar() || node.quoted) return false;
    for (const char* yes : {"true", "True", "TRUE"}) {
      if (node.scalar == yes) return value = true, true;
    }
    for (const char* no : {"false", "False", "FALSE"}) {
      if (node.scalar == no) return value = false, true;
    }
    return false;
  }
};

template <>
struct Parse<double> {
  static constexpr const char* kName = "a number";
  static bool from(const Node& node, double& value) {
    if (!node.is_scalar() || node.quoted || node.scalar.empty()) return false;
    const char* begin = node.scalar.c_str();
    if (!std::isdigit(static_cast<unsigned char>(*begin)) && !std::strchr("+-.", *begin)) {
      return false;  // strtod would take "inf", "nan"
    }
    char* end = nullptr;
    const double number = std::strtod(begin, &end);
    if (*end || end == begin || !std::isfinite(number)) return false;
    value = number;
    return true;
  }
};

template <>
struct Parse<int64_t> {
  static constexpr const char* kName = "an integer";
  static bool from(const Node& node, int64_t& value) {
    if (!node.is_scalar() || node.quoted) return false;
    const auto& text = node.scalar;
    const char* begin = text.data() + (text.rfind('+', 0) == 0 && text.rfind("+-", 0) != 0);
    const char* end = text.data() + text.size();
    int64_t number = 0;
    const auto result = std::from_chars(begin, end, number);
    if (result.ec == std::errc() && result.ptr == end) return value = number, true;
    // 1e6 and 2.0 are integers as well.
    double real = 0;
    if (!Parse<double>::from(node, real) || real != std::floor(real) || std::abs(real) > 1e15) {
      return false;
    }
    value = static_cast<int64_t>(real);
    return true;
  }
};

template <>
struct Parse<std::string> {
  static constexpr const char* kName = "a text";
  static bool from(const Node& node, std::string& value) {
    if (!node.is_scalar()) return false;
    value = node.scalar;
    return true;
  }
};

template <>
struct Parse<Path> {
  static constexpr const char* kName = "a path";
  static bool from(const Node& node, Path& value) {
    if (!node.is_scalar()) return false;
    namespace fs = std::filesystem;
    fs::path path = node.scalar;
    if (path.empty()) return value.value.clear(), true;
    // On the command line ("--set ...", no line) relative to the current folder.
    if (path.is_relative() && node.origin.line > 0) {
      path = fs::path(node.origin.file).parent_path() / path;
    }
    value.value = fs::absolute(path).lexically_normal().string();
    return true;
  }
};

[[noreturn]] void wrong_type(const Node& node, const std::string& expected) {
  node.fail("must be " + expected + ", not " + node.describe());
}

void check_bounds(const Field& field, const Node& node, double value) {
  const bool low = field.low_open ? value > field.low : value >= field.low;
  const bool high = field.high_open ? value < field.high : value <= field.high;
  if (low && high) return;
  node.fail("must be " + field.bounds() + ", not " + node.scalar);
}

void check_bounds(const Field& field, const Node& node, int64_t value) {
  check_bounds(field, node, static_cast<double>(value));
}

template <typename T>
void check_bounds(const Field&, const Node&, const T&) {}

std::string item_count(int64_t low, int64_t high) {
  const auto last = high == std::numeric_limits<int64_t>::max() ? low : high;
  const auto items = std::to_string(last) + (last == 1 ? " item" : " items");
  if (low == high) return items;
  return last == low ? "at least " + items : std::to_string(low) + " to " + items;
}

// Reads one node into the target of a field.
class Reader {
 public:
  Reader(const Field& field, const Node& node) : field_(field), node_(node) {}

  template <typename T>
  void operator()(T* value) const {
    read_one(node_, *value);
  }

  template <typename T>
  void operator()(std::optional<T>* value) const {
    if (node_.is_null()) {
      value->reset();
      return;
    }
    read_one(node_, value->emplace());
  }

  template <typename T>
  void operator()(std::vector<T>* values) const {
    std::vector<T> fresh;
    if (node_.is_scalar()) {
      read_one(node_, fresh.emplace_back(), list_name<T>());
    } else if (node_.is_list()) {
      for (const auto& item : node_.items) read_one(item, fresh.emplace_back());
    } else if (!node_.is_null()) {
      wrong_type(node_, list_name<T>());
    }
    check_length(static_cast<int64_t>(fresh.size()));
    *values = std::move(fresh);
  }

  void operator()(const Field::Choice& choice) const {
    const auto& names = choice.names;
    if (!node_.is_scalar() || std::find(names.begin(), names.end(), node_.scalar) == names.end()) {
      const auto near = node_.is_scalar() ? nearest(node_.scalar, names) : std::nullopt;
      node_.fail("must be one of " + join(names) + ", not " + node_.describe() +
                 (near ? "; did you mean '" + *near + "'?" : ""));
    }
    choice.set(node_.scalar);
  }

  void operator()(const Field::Group& group) const {
    if (!node_.is_map() && !node_.is_null()) wrong_type(node_, "a map");
    group.fields->read(node_);
  }

  void operator()(const Field::List& list) const {
    list.clear();
    if (!node_.is_list() && !node_.is_null()) wrong_type(node_, "a list of maps");
    check_length(static_cast<int64_t>(node_.items.size()));
    for (const auto& item : node_.items) {
      if (!item.is_map()) wrong_type(item, "a map");
      list.append()->read(item);
    }
  }

  void operator()(const Field::Components& components) const {
    const auto check = [&](const Node& node) {
      if (!node.type().empty()) return;
      if (!node.is_map()) wrong_type(node, "a component ({type: NAME, ...} or NAME)");
      node.fail("lacks 'type', the name of a " + components.kind + " (see dnc-host list " +
                components.kind + ")");
    };
    if (!components.list) {
      if (!node_.is_null()) check(node_);
      components.slots().front()->set(node_);
      return;
    }
    components.clear();
    const bool one = node_.is_map() || node_.is_scalar();
    for (const auto& item : one ? std::vector<Node>{node_} : node_.items) {
      check(item);
      components.append()->set(item);
    }
    check_length(static_cast<int64_t>(components.slots().size()));
  }

 private:
  template <typename T>
  static std::string list_name() {
    return "a list, each item " + std::string(Parse<T>::kName);
  }

  template <typename T>
  void read_one(const Node& node, T& value, const std::string& expected = Parse<T>::kName) const {
    if (!Parse<T>::from(node, value)) wrong_type(node, expected);
    check_bounds(field_, node, value);
  }

  void check_length(int64_t size) const {
    if (size >= field_.min_length && size <= field_.max_length) return;
    node_.fail("must have " + item_count(field_.min_length, field_.max_length) + ", not " +
               std::to_string(size));
  }

  const Field& field_;
  const Node& node_;
};

Node to_node(bool value) { return Node::make_scalar(value ? "true" : "false"); }
Node to_node(int64_t value) { return Node::make_scalar(std::to_string(value)); }
Node to_node(const std::string& value) {
  double number = 0;
  bool flag = false;
  auto node = Node::make_scalar(value);
  node.quoted = Parse<double>::from(node, number) || Parse<bool>::from(node, flag);
  return node;
}
Node to_node(const Path& value) { return Node::make_scalar(value.value); }
Node to_node(double value) {
  // 100000, not the 1e+05 that is shorter.
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    return to_node(static_cast<int64_t>(value));
  }
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return Node::make_scalar(std::string(buffer, result.ptr));
}

struct Writer {
  template <typename T>
  Node operator()(T* value) const {
    return to_node(*value);
  }
  template <typename T>
  Node operator()(std::optional<T>* value) const {
    return *value ? to_node(**value) : Node();
  }
  template <typename T>
  Node operator()(std::vector<T>* values) const {
    Node node = Node::make_list();
    for (const auto& value : *values) node.items.push_back(to_node(value));
    return node;
  }
  Node operator()(const Field::Choice& choice) const { return Node::make_scalar(choice.get()); }
  static Node map_of(const Fields& fields) {
    Node node = Node::make_map();
    for (const auto& field : fields.all()) node.set(field.name, field.value());
    return node;
  }
  Node operator()(const Field::Group& group) const { return map_of(*group.fields); }
  Node operator()(const Field::List& list) const {
    Node node = Node::make_list();
    for (const auto& item : list.items()) node.items.push_back(map_of(*item));
    return node;
  }
  Node operator()(const Field::Components& components) const {
    if (!components.list) return components.slots().front()->node();
    Node node = Node::make_list();
    for (const auto* slot : components.slots()) node.items.push_back(slot->node());
    return node;
  }
};

struct TypeName {
  std::string operator()(bool*) const { return "true | false"; }
  std::string operator()(int64_t*) const { return "integer"; }
  std::string operator()(double*) const { return "number"; }
  std::string operator()(std::string*) const { return "text"; }
  std::string operator()(Path*) const { return "path"; }
  template <typename T>
  std::string operator()(std::vector<T>*) const {
    return "list of " + (*this)(static_cast<T*>(nullptr)) + "s";
  }
  template <typename T>
  std::string operator()(std::optional<T>*) const {
    return (*this)(static_cast<T*>(nullptr)) + " or nothing";
  }
  std::string operator()(const Field::Choice& choice) const { return join(choice.names, " | "); }
  std::string operator()(const Field::Group&) const { return "map"; }
  std::string operator()(const Field::List&) const { return "list of maps"; }
  std::string operator()(const Field::Components& components) const {
    return (components.list ? "list of " + components.kind + " components"
                            : components.kind + " component");
  }
};

std::string number_text(double value) { return to_node(value).scalar; }

}  // namespace

Field::Field(std::string field_name, Target where, std::string text)
    : name(std::move(field_name)), doc(std::move(text)), target(std::move(where)) {}

Field& Field::at_least(double value) { return low = value, low_open = false, *this; }
Field& Field::at_most(double value) { return high = value, high_open = false, *this; }
Field& Field::between(double from, double to) { return at_least(from).at_most(to); }
Field& Field::above(double value) { return low = value, low_open = true, *this; }
Field& Field::below(double value) { return high = value, high_open = true, *this; }
Field& Field::required() { return is_required = true, *this; }
Field& Field::alias(std::string other) { return aliases.push_back(std::move(other)), *this; }
Field& Field::length(int64_t from, int64_t to) { return min_length = from, max_length = to, *this; }

std::string Field::type_name() const { return std::visit(TypeName(), target); }

Node Field::value() const { return std::visit(Writer(), target); }

std::string Field::bounds() const {
  const bool has_low = std::isfinite(low);
  const bool has_high = std::isfinite(high);
  if (has_low && has_high && !low_open && !high_open) {
    return "from " + number_text(low) + " to " + number_text(high);
  }
  std::string text;
  if (has_low) text = (low_open ? "above " : "at least ") + number_text(low);
  if (has_low && has_high) text += " and ";
  if (has_high) text += (high_open ? "below " : "at most ") + number_text(high);
  return text;
}

Fields::Fields() = default;
Fields::~Fields() = default;
Fields::Fields(Fields&&) noexcept = default;
Fields& Fields::operator=(Fields&&) noexcept = default;

Field& Fields::add(std::string name, Field::Target target, std::string doc) {
  return fields_.emplace_back(std::move(name), std::move(target), std::move(doc));
}

namespace {

// What a map says of a field, under its name or another one; nullptr where it says nothing.
const Node* find_value(const Node& node, const Field& field) {
  const Node* value = node.find(field.name);
  std::string used = field.name;
  for (const auto& alias : field.aliases) {
    const auto* other = node.find(alias);
    if (other && value) node.fail(alias, "is another name of '" + used + "'; give one of them");
    if (other) value = other, used = alias;
  }
  return value;
}

// `--set a.type=B` changes the name of a component alone: a key of the file is left over from the
// old one. Says how to replace it whole; nothing for other unknown keys.
std::string hint_at_override(const Node& component, const Node::Entry& key) {
  const auto* type = component.find("type");
  if (!type || type->origin.file.rfind("--set ", 0) != 0 || key.origin.line == 0) return "";
  return "\n  " + type->origin.file + " keeps the options of the component before; replace all " +
         "of it with --set " + component.path + "=" + type->scalar;
}

// Where a key would be that a map does not have.
Node absent(const Node& node, const std::string& key) {
  Node nothing;
  nothing.origin = node.origin;
  nothing.path = (node.path.empty() ? "" : node.path + ".") + key;
  return nothing;
}

}  // namespace

void Fields::read(const Node& node, const std::vector<std::string>& others) {
  std::vector<std::string> names;
  for (auto& field : fields_) {
    names.push_back(field.name);
    names.insert(names.end(), field.aliases.begin(), field.aliases.end());
    const auto* value = find_value(node, field);
    if (field.is_required && (!value || value->is_null())) {
      node.fail(field.name, "is missing: " + field.doc);
    }
    if (value) {
      std::visit(Reader(field, *value), field.target);
    } else if (std::holds_alternative<Field::Group>(field.target)) {
      // Something inside may be required.
      std::visit(Reader(field, absent(node, field.name)), field.target);
    }
  }
  for (const auto& entry : node.entries) {
    const auto known = [&](const auto& list) {
      return std::find(list.begin(), list.end(), entry.key) != list.end();
    };
    if (known(names) || known(others)) continue;
    Node at = entry.value;
    at.origin = entry.origin;
    at.fail("is not a known key" + suggestion(entry.key, names) + hint_at_override(node, entry));
  }
}

}  // namespace dnc
