#include "registry/config.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDelete = "_delete_";
constexpr size_t kMostKeys = 1000;  // of one map: keys are looked for one by one
constexpr int kMostFiles = 1000;    // bases of bases, with repetitions

// A long text counts as several values, so that a limit on values limits the memory as well.
int64_t cost(const std::string& text) { return 1 + static_cast<int64_t>(text.size()) / 100; }

// ---- YAML to nodes ------------------------------------------------------------------------------

// How many bytes the character at `at` has; 0 where it is not UTF-8 (Unicode 15, table 3-7).
size_t utf8_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (at + size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || beyond ? 0 : size;
}

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto size = utf8_bytes(text, at);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

// Makes nodes of what yaml-cpp's parser reports while it reads, so that no limit is passed first.
class Parser final : YAML::EventHandler {
 public:
  Parser(std::string file, const ConfigLimits& limits, bool has_lines = true)
      : file_(std::move(file)), limits_(limits), has_lines_(has_lines) {}

  // Null for a text that holds nothing.
  Node parse(const std::string& text) {
    // yaml-cpp would end the text at a zero byte, and pass other bytes on to whoever prints them.
    if (text.find('\0') != std::string::npos) {
      throw ConfigError(file_ + ": is not a YAML file (it holds a zero byte)");
    }
    if (!is_utf8(text)) {
      throw ConfigError(file_ + ": is not a YAML file (it holds bytes that are not UTF-8)");
    }
    try {
      // At the end of a line it takes the end of the text for the quote that is missing. A comment
      // there shows that the quote is open.
      std::istringstream stream(text.ends_with('\n') ? text + "#" : text);
      YAML::Parser parser(stream);
      while (parser.HandleNextDocument(*this)) {
      }
    } catch (const YAML::Exception& error) {
      throw ConfigError(origin(error.mark).where() + ": is not valid YAML: " + error.msg);
    }
    return std::move(root_);
  }

 private:
  // A list or map that is not closed yet.
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    std::optional<Node> key;  // of a map, while its value is awaited
  };

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp takes a stray bracket for the beginning of a document, again and again.
    if (has_document_) {
      fail(origin(mark), "begins a second YAML document, or is a stray ',', ']' or '}'");
    }
    has_document_ = true;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node = make(mark, Node::Kind::kNull, "");
    // yaml-cpp reports what is not there at the place of what comes next.
    if (!open_.empty() && open_.back().key) node.origin = open_.back().key->origin;
    add(std::move(node), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = make(mark, Node::Kind::kScalar, tag);
    // The tag is "?" for what is plain and "!" for what is quoted.
    node.quoted = tag == "!" || tag == kTextTag;
    node.scalar = value;
    spend(node.origin, cost(value) - 1);
    add(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_depth(origin(mark), 1);
    open_.push_back({make(mark, Node::Kind::kList, tag), anchor, {}});
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_depth(origin(mark), 1);
    open_.push_back({make(mark, Node::Kind::kMap, tag), anchor, {}});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end()) fail(origin(mark), "the alias stands for what it is a part of");
    check_depth(origin(mark), depth_of(target->second));
    spend(origin(mark), cost_of(target->second));
    add(target->second, YAML::NullAnchor);
  }

  Origin origin(const YAML::Mark& mark) const {
    if (!has_lines_ || mark.is_null()) return {file_, 0, 0};
    return {file_, mark.line + 1, mark.column + 1};
  }

  [[noreturn]] static void fail(const Origin& origin, const std::string& what) {
    throw ConfigError(origin.where() + ": " + what);
  }

  Node make(const YAML::Mark& mark, Node::Kind kind, const std::string& tag) {
    Node node;
    node.kind = kind;
    node.origin = origin(mark);
    if (!tag.empty() && tag != "?" && tag != "!" && tag != kTextTag) {
      fail(node.origin, "the tag '" + tag + "' is not supported");
    }
    spend(node.origin, 1);
    return node;
  }

  void close() {
    auto done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.node), done.anchor);
  }

  // Puts a complete value where it belongs.
  void add(Node node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      spend(node.origin, cost_of(node));
      anchors_[anchor] = node;
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& [parent, parent_anchor, key] = open_.back();
    if (parent.is_list()) {
      parent.items.push_back(std::move(node));
    } else if (key) {
      parent.entries.push_back({key->scalar, std::move(node), key->origin});
      key.reset();
    } else {
      check_key(parent, node);
      key = std::move(node);
    }
  }

  static void check_key(const Node& map, const Node& key) {
    if (!key.is_scalar()) fail(key.origin, "a key must be a plain word");
    if (key.scalar == "<<") {
      fail(key.origin, "merge keys ('<<') are not supported; use 'base:'");
    }
    for (const auto& other : map.entries) {
      if (other.key != key.scalar) continue;
      fail(key.origin, "'" + key.scalar + "' appears twice; first at " +
                           std::to_string(other.origin.line) + ":" +
                           std::to_string(other.origin.column));
    }
    if (map.entries.size() == kMostKeys) {
      fail(key.origin, "a map has at most " + std::to_string(kMostKeys) + " keys");
    }
  }

  void check_depth(const Origin& origin, int64_t more) const {
    // The root is at depth 0.
    if (static_cast<int64_t>(open_.size()) + more - 1 > limits_.depth) {
      fail(origin, "is nested more than " + std::to_string(limits_.depth) + " deep");
    }
  }
  static int64_t depth_of(const Node& node) {
    int64_t depth = node.is_list() || node.is_map() ? 1 : 0;
    for (const auto& item : node.items) depth = std::max(depth, 1 + depth_of(item));
    for (const auto& entry : node.entries) depth = std::max(depth, 1 + depth_of(entry.value));
    return depth;
  }

  // Aliases are copies, and so are anchors: this bounds what a file of them expands to.
  void spend(const Origin& origin, int64_t more) {
    nodes_ += more;
    if (nodes_ > limits_.nodes) {
      fail(origin, "the file expands to more than " + std::to_string(limits_.nodes) +
                       " values (nested aliases?)");
    }
  }
  static int64_t cost_of(const Node& node) {
    int64_t sum = cost(node.scalar);
    for (const auto& item : node.items) sum += cost_of(item);
    for (const auto& entry : node.entries) sum += cost_of(entry.value);
    return sum;
  }

  static constexpr const char* kTextTag = "tag:yaml.org,2002:str";

  std::string file_;
  ConfigLimits limits_;
  bool has_lines_;
  bool has_document_ = false;
  Node root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  int64_t nodes_ = 0;
};

std::string read_file(const std::string& file, const ConfigLimits& limits,
                      const Origin* wanted_at) {
  const auto at = wanted_at ? wanted_at->where() + ": " : std::string();
  std::error_code error;
  if (!fs::exists(file, error)) throw ConfigError(at + file + ": no such file");
  if (!fs::is_regular_file(file, error)) throw ConfigError(at + file + ": is not a file");
  const auto size = static_cast<int64_t>(fs::file_size(file, error));
  if (size > limits.file_bytes) {
    throw ConfigError(at + file + ": has " + std::to_string(size) +
                      " bytes; a config has at most " + std::to_string(limits.file_bytes));
  }
  std::string text(static_cast<size_t>(size), '\0');
  std::ifstream stream(file, std::ios::binary);
  if (!stream.read(text.data(), size)) throw ConfigError(at + file + ": cannot be read");
  return text;
}

// ---- bases --------------------------------------------------------------------------------------

// `head: DNC` is short for `head: {type: DNC}`.
void to_long_form(Node& node, const Origin& origin) {
  Node map = Node::make_map();
  map.origin = origin;
  map.set("type", std::move(node));
  node = std::move(map);
}

// Takes the `_delete_` out of a map and says what it was.
bool take_delete(Node& map) {
  const auto* marker = map.find(kDelete);
  if (!marker) return false;
  const bool yes = marker->scalar == "true" || marker->scalar == "True";
  if (!yes && marker->scalar != "false" && marker->scalar != "False") {
    throw ConfigError(marker->origin.where() + ": '_delete_' must be true or false, not " +
                      marker->describe());
  }
  map.erase(kDelete);
  return yes;
}

bool is_of_another_type(const Node& under, const Node& over) {
  const auto* old_type = under.find("type");
  const auto* type = over.find("type");
  return type && old_type && type->scalar != old_type->scalar;
}

// `over` on top of `under`. A map that stands alone (nothing inherited) loses its _delete_ as well.
void merge(Node& under, Node over) {
  if (!over.is_map()) {
    under = std::move(over);
    return;
  }
  const bool replace = take_delete(over);
  if (under.is_scalar()) to_long_form(under, under.origin);
  // A component of another type does not inherit the options of the old one.
  if (!under.is_map() || replace || is_of_another_type(under, over)) under = Node::make_map();
  under.origin = over.origin;
  for (auto& entry : over.entries) {
    if (auto* inherited = under.find(entry.key)) {
      merge(*inherited, std::move(entry.value));
    } else {
      Node value;
      merge(value, std::move(entry.value));
      under.entries.push_back({entry.key, std::move(value), entry.origin});
    }
  }
}

class Loader {
 public:
  explicit Loader(const ConfigLimits& limits) : limits_(limits) {}

  // `wanted_at` is where the file is named as a base; nullptr for the config itself.
  Node load(const std::string& file, const Origin* wanted_at) {
    const auto canonical = fs::weakly_canonical(file).string();
    if (wanted_at) check_bases(canonical, *wanted_at);
    open_.push_back(canonical);
    auto node = with_bases(Parser(file, limits_).parse(read_file(file, limits_, wanted_at)), file);
    open_.pop_back();
    return node;
  }

  Node with_bases(Node own, const std::string& file) {
    if (own.is_null()) {
      own = Node::make_map();
      own.origin = {file, 1, 1};
    }
    if (!own.is_map()) {
      throw ConfigError(file + ":1:1: a config must be a map of keys, not " + own.describe());
    }
    Node merged = Node::make_map();
    for (const auto& name : take_bases(own)) {
      if (!name.is_scalar()) {
        throw ConfigError(name.origin.where() + ": 'base' must be a file or a list of files, not " +
                          name.describe());
      }
      Node base = load((fs::path(file).parent_path() / name.scalar).string(), &name.origin);
      check_distinct(base, merged, name, "");
      merge(merged, std::move(base));
    }
    merge(merged, std::move(own));
    return merged;
  }

 private:
  void check_bases(const std::string& canonical, const Origin& wanted_at) {
    const auto first = std::find(open_.begin(), open_.end(), canonical);
    if (first != open_.end()) {
      std::vector<std::string> circle(first, open_.end());
      circle.push_back(canonical);
      for (auto& name : circle) name = fs::path(name).filename().string();
      throw ConfigError(wanted_at.where() + ": the bases go in a circle: " + join(circle, " -> "));
    }
    if (static_cast<int64_t>(open_.size()) >= limits_.depth) {
      throw ConfigError(wanted_at.where() + ": more than " + std::to_string(limits_.depth) +
                        " bases inside each other");
    }
    if (++files_ > kMostFiles) {
      throw ConfigError(wanted_at.where() + ": more than " + std::to_string(kMostFiles) +
                        " base files");
    }
  }

  static std::vector<Node> take_bases(Node& own) {
    std::vector<Node> names;
    for (const char* key : {"base", "_base_"}) {
      const auto* base = own.find(key);
      if (!base) continue;
      if (base->is_list()) {
        names.insert(names.end(), base->items.begin(), base->items.end());
      } else {
        names.push_back(*base);
      }
      own.erase(key);
    }
    return names;
  }

  // Two bases may both write into the same map, but not give a value to the same key.
  static void check_distinct(const Node& base, const Node& merged, const Node& name,
                             const std::string& prefix) {
    for (const auto& entry : base.entries) {
      const auto path = prefix + entry.key;
      const auto* other = merged.find(entry.key);
      if (other && other->is_map() && entry.value.is_map()) {
        check_distinct(entry.value, *other, name, path + ".");
      } else if (other) {
        throw ConfigError(name.origin.where() + ": two bases give '" + path +
                          "': " + other->origin.where() + " and " + entry.value.origin.where());
      }
    }
  }

  ConfigLimits limits_;
  std::vector<std::string> open_;
  int files_ = 0;
};

// ---- overrides ----------------------------------------------------------------------------------

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// "2", or "-1" for the last; nothing for other words.
std::optional<int64_t> to_index(const std::string& part) {
  int64_t index = 0;
  const char* end = part.data() + part.size();
  const auto result = std::from_chars(part.data(), end, index);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return index;
}

// The item of a list, counted from the end where `index` is negative; nullptr where it has none.
Node* item_at(Node& list, int64_t index) {
  const auto size = static_cast<int64_t>(list.items.size());
  if (index < 0) index += size;
  return index < 0 || index >= size ? nullptr : &list.items[static_cast<size_t>(index)];
}

const Node* item_at(const Node& list, int64_t index) {
  return item_at(const_cast<Node&>(list), index);
}

class Override {
 public:
  Override(const std::string& text, const ConfigLimits& limits) : origin_{"--set " + text, 0, 0} {
    const auto equals = text.find('=');
    if (equals == std::string::npos) fail("must look like KEY.KEY=VALUE");
    auto path = text.substr(0, equals);
    if (path.size() > 1 && path.back() == '+' && path[path.size() - 2] != '.') {
      path.insert(path.size() - 1, ".");  // a.b+=x is a.b.+=x
    }
    parts_ = split(path, '.');
    if (std::find(parts_.begin(), parts_.end(), "") != parts_.end()) {
      fail("must look like KEY.KEY=VALUE");
    }
    if (static_cast<int64_t>(parts_.size()) > limits.depth) {
      fail("is nested more than " + std::to_string(limits.depth) + " deep");
    }
    value_ = Parser(origin_.file, limits, false).parse(text.substr(equals + 1));
    value_.origin = origin_;
  }

  void apply(Node& root) {
    Node* at = &root;
    std::string done;
    for (const auto& part : parts_) {
      at = at->is_list() ? item(*at, part, done) : entry(*at, part, done);
      done += (done.empty() ? "" : ".") + part;
    }
    // A map given on the command line replaces what stands there: the user sees all of it.
    *at = value_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw ConfigError(origin_.file + ": " + what);
  }

  Node* item(Node& list, const std::string& part, const std::string& done) {
    if (part == "+") {
      if (&part != &parts_.back()) fail("'+' appends to a list and must stand last");
      return &list.items.emplace_back();
    }
    const auto size = std::to_string(list.items.size());
    const auto index = to_index(part);
    if (!index) {
      fail("'" + done + "' is a list of " + size +
           ": give the index of an item or '+' to append, " + "not '" + part + "'");
    }
    auto* item = item_at(list, *index);
    if (!item) fail("'" + done + "' has " + size + " items; there is no item " + part);
    return item;
  }

  Node* entry(Node& node, const std::string& part, const std::string& done) {
    if (!done.empty() && (part == "+" || to_index(part))) {
      fail("'" + done + "' is " + node.describe() + ", not a list");
    }
    if (node.is_scalar()) to_long_form(node, origin_);
    if (node.is_null()) {
      node = Node::make_map();
      node.origin = origin_;
    }
    // A key that stands at its default is not written in the file. Whether it exists is known to
    // whoever reads the map, and checked there, with near names.
    if (!node.find(part)) node.entries.push_back({part, Node(), origin_});
    return node.find(part);
  }

  Origin origin_;
  std::vector<std::string> parts_;
  Node value_;
};

// ---- references ---------------------------------------------------------------------------------

const Node* find_path(const Node& root, const std::string& path) {
  const Node* at = &root;
  for (const auto& part : split(path, '.')) {
    if (at->is_list()) {
      const auto index = to_index(part);
      at = index ? item_at(*at, *index) : nullptr;
    } else {
      at = at->find(part);
    }
    if (!at) return nullptr;
  }
  return at;
}

class References {
 public:
  References(const Node& root, const ConfigLimits& limits) : root_(root), limits_(limits) {}

  Node resolve(const Node& node) {
    if (++depth_ > 2 * limits_.depth) {
      throw ConfigError(node.origin.where() + ": is nested more than " +
                        std::to_string(2 * limits_.depth) + " deep, through references");
    }
    Node result;
    if (node.is_scalar()) {
      result = node.scalar.find("${") == std::string::npos ? node : scalar(node);
    } else {
      result.kind = node.kind;
      result.origin = node.origin;
      for (const auto& item : node.items) result.items.push_back(resolve(item));
      for (const auto& entry : node.entries) {
        result.entries.push_back({entry.key, resolve(entry.value), entry.origin});
      }
    }
    nodes_ += cost(result.scalar);
    if (nodes_ > limits_.nodes) {
      throw ConfigError(node.origin.where() + ": references expand to more than " +
                        std::to_string(limits_.nodes) + " values");
    }
    --depth_;
    return result;
  }

 private:
  // A value keeps its origin where it is used, and a text that begins with one takes it: a relative
  // path stays relative to the file that it was written in.
  Node scalar(const Node& node) {
    const auto& text = node.scalar;
    if (text.rfind("${", 0) == 0 && text.find('}') == text.size() - 1) {
      return lookup(node, text.substr(2, text.size() - 3));
    }
    Node result = node;
    result.scalar.clear();
    for (size_t at = 0; at < text.size();) {
      if (text.compare(at, 3, "$${") == 0) {
        result.scalar += "${";
        at += 3;
      } else if (text.compare(at, 2, "${") == 0) {
        const auto close = text.find('}', at);
        if (close == std::string::npos) {
          throw ConfigError(node.origin.where() + ": '${' without '}'");
        }
        const auto name = text.substr(at + 2, close - at - 2);
        const Node value = lookup(node, name);
        if (!value.is_scalar()) {
          throw ConfigError(node.origin.where() + ": '${" + name + "}' is " + value.describe() +
                            " and cannot stand inside a text");
        }
        if (at == 0) result.origin = value.origin;
        result.scalar += value.scalar;
        at = close + 1;
      } else {
        result.scalar += text[at++];
      }
    }
    return result;
  }

  Node lookup(const Node& node, const std::string& name) {
    if (name.rfind("env:", 0) == 0) return environment(node, name.substr(4));
    if (!open_.insert(name).second) {
      throw ConfigError(node.origin.where() + ": '${" + name + "}' refers to itself");
    }
    const auto* target = find_path(root_, name);
    if (!target) {
      const auto dot = name.rfind('.');
      const auto* parent =
          dot == std::string::npos ? &root_ : find_path(root_, name.substr(0, dot));
      throw ConfigError(
          node.origin.where() + ": '${" + name + "}' names no key" +
          (parent ? suggestion(name.substr(dot == std::string::npos ? 0 : dot + 1), parent->keys())
                  : ""));
    }
    Node value = resolve(*target);
    open_.erase(name);
    return value;
  }

  Node environment(const Node& node, const std::string& text) const {
    const auto colon = text.find(':');
    const auto name = text.substr(0, colon);
    const char* found = std::getenv(name.c_str());
    if (!found && colon == std::string::npos) {
      throw ConfigError(node.origin.where() + ": the environment has no '" + name +
                        "'; set it, or write ${env:" + name + ":default}");
    }
    Node value = Node::make_scalar(found ? found : text.substr(colon + 1));
    value.origin = node.origin;
    if (!is_utf8(value.scalar)) {
      throw ConfigError(node.origin.where() + ": the environment's '" + name + "' is not UTF-8");
    }
    return value;
  }

  const Node& root_;
  ConfigLimits limits_;
  std::set<std::string> open_;
  int64_t depth_ = 0;
  int64_t nodes_ = 0;
};

void set_paths(Node& node, const std::string& path) {
  node.path = path;
  const auto prefix = path.empty() ? path : path + ".";
  for (size_t i = 0; i < node.items.size(); ++i) {
    set_paths(node.items[i], prefix + std::to_string(i));
  }
  for (auto& entry : node.entries) set_paths(entry.value, prefix + entry.key);
}

Node finish(Node root, const std::vector<std::string>& overrides, const ConfigLimits& limits) {
  for (const auto& text : overrides) Override(text, limits).apply(root);
  Node resolved = References(root, limits).resolve(root);
  set_paths(resolved, "");
  return resolved;
}

}  // namespace

Node load_config(const std::string& file, const std::vector<std::string>& overrides,
                 const ConfigLimits& limits) {
  return finish(Loader(limits).load(file, nullptr), overrides, limits);
}

Node parse_config(const std::string& text, const std::string& name,
                  const std::vector<std::string>& overrides, const ConfigLimits& limits) {
  if (static_cast<int64_t>(text.size()) > limits.file_bytes) {
    throw ConfigError(name + ": has " + std::to_string(text.size()) +
                      " bytes; a config has at most " + std::to_string(limits.file_bytes));
  }
  return finish(Loader(limits).with_bases(Parser(name, limits).parse(text), name), overrides,
                limits);
}

}  // namespace dnc
