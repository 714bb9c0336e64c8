#include "host/plugin_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <vector>

#include "host/files.h"
#include "host/plugin_loader.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// What the templates themselves are called.
constexpr std::string_view kType = "MyPlugin";
constexpr std::string_view kFile = "my_plugin";
constexpr const char* kCommon = "common";
constexpr size_t kLongestName = 64;
constexpr uint64_t kLargestTemplate = 1 << 20;

// Targets that CMake and its generators have themselves, or LibTorch and dnc-host bring.
constexpr std::array<std::string_view, 15> kTargets{
    "all",        "c10",   "clean",     "depend",     "dnc",
    "edit_cache", "help",  "install",   "package",    "rebuild_cache",
    "test",       "torch", "torch_cpu", "torch_cuda", "torch_library"};

constexpr std::string_view kMember = "Options";  // of each template's class

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
char to_upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
char to_lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

/// "HRNetCifar" to HR, Net, Cifar; "my_net" to my, net.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < name.size(); ++i) {
    const bool next_is_small = i + 1 < name.size() && !is_upper(name[i + 1]) && name[i + 1] != '_';
    const bool begins = i > 0 && is_upper(name[i]) && (!is_upper(name[i - 1]) || next_is_small);
    if ((name[i] == '_' || begins) && !words.back().empty()) words.emplace_back();
    if (name[i] != '_') words.back() += name[i];
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string renamed(std::string text, const PluginName& name) {
  for (const auto& [from, to] : {std::pair(kType, name.type), std::pair(kFile, name.file)}) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
      text.replace(at, from.size(), to);
    }
  }
  return text;
}

/// The kinds that have a folder, in the order of kAllKinds.
std::vector<std::string> kinds_with_template() {
  std::vector<std::string> names;
  for (const auto kind : kAllKinds) {
    if (fs::is_directory(plugin_templates() / kind_name(kind))) names.push_back(kind_name(kind));
  }
  return names;
}

void copy_renamed(const fs::path& from, const fs::path& to, const PluginName& name) {
  for (const auto& entry : fs::directory_iterator(from)) {
    const auto file = renamed(entry.path().filename().string(), name);
    write_file(to / file, renamed(read_file(entry.path(), kLargestTemplate), name));
  }
}

}  // namespace

PluginName plugin_name(const std::string& given) {
  const bool good =
      !given.empty() && given.size() <= kLongestName && is_letter(given[0]) &&
      std::ranges::all_of(given, [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
  if (!good) {
    throw Error(
        fmt::format("'{}' cannot be the name of a plugin; expected up to {} letters, digits and "
                    "underscores, a letter first, such as MyNet",
                    given, kLongestName));
  }
  PluginName name;
  for (const auto& word : words_of(given)) {
    name.type += to_upper(word[0]) + word.substr(1);
    if (!name.file.empty()) name.file += '_';
    for (const char c : word) name.file += to_lower(c);
  }
  if (std::ranges::find(kTargets, name.file) != kTargets.end()) {
    throw Error(
        fmt::format("'{}' cannot be the name of a plugin: CMake has a target '{}' of its "
                    "own; choose another name",
                    given, name.file));
  }
  if (name.type == kMember) {
    throw Error(fmt::format(
        "'{}' cannot be the name of a plugin: its class has a member {}; choose another name",
        given, kMember));
  }
  return name;
}

fs::path plugin_templates() {
  // PREFIX/lib/dnc-host/plugins
  const auto prefix = builtin_plugin_folder().parent_path().parent_path().parent_path();
  return prefix / "share" / "dnc-host" / "templates" / "plugin";
}

void write_plugin(const Registry& registry, Kind kind, const PluginName& name,
                  const fs::path& folder) {
  const auto templates = plugin_templates();
  const auto known = kinds_with_template();
  if (known.empty()) {
    throw Error(templates.string() + ": is missing; it belongs to the program: install it again");
  }
  if (std::ranges::find(known, kind_name(kind)) == known.end()) {
    throw Error(
        fmt::format("there is no template of a {} (known: {}); docs/writing_a_plugin.md "
                    "has an example of each kind",
                    kind_name(kind), join(known)));
  }
  if (const auto* taken = registry.find(kind, name.type)) {
    throw Error(fmt::format("'{}' is a {} of {} already; choose another name", name.type,
                            kind_name(kind), taken->plugin));
  }
  if (fs::exists(fs::symlink_status(folder))) {
    throw Error(folder.string() + ": exists already; choose another folder by --out");
  }
  create_folder(fs::absolute(folder).parent_path());
  AtomicFolder whole(folder);
  copy_renamed(templates / kCommon, whole.path(), name);
  copy_renamed(templates / kind_name(kind), whole.path(), name);
  whole.commit();
}

}  // namespace dnc
