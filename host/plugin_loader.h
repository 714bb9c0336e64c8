#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace dnc {

/// A plugin that is in the process.
struct LoadedPlugin {
  std::filesystem::path file;  // canonical
  std::string stamp;           // what it was built against
};

/// Loads plugins into one registry. A plugin stays in the process to its end: models, autograd
/// graphs and threads hold code and vtables of it.
class PluginLoader {
 public:
  explicit PluginLoader(Registry& registry) : registry_(registry) {}

  /// Loads the plugin and registers all that it offers, or throws PluginError and registers
  /// nothing. The same file again, by whatever path, is a no-op. Checked in this order: the file is
  /// there, the dynamic loader takes it (RTLD_NOW | RTLD_LOCAL), it has the stamp and the entry of
  /// DNC_PLUGIN, the stamp equals ours, the entry runs through on a copy of the registry.
  void load(const std::filesystem::path& path);

  /// Loads every .so of a folder, in the order of their names; one that fails is noted in the
  /// registry (Registry::failures) and does not stop the others. No folder, no plugins.
  void load_folder(const std::filesystem::path& folder);

  /// Loads what a config names: a path (it has a slash, or such a file exists), or a name that is
  /// looked for as NAME.so in the folders of $DNC_PLUGIN_PATH. Throws PluginError; "not found" lists
  /// the folders.
  void load_named(const std::string& name);

  const std::vector<LoadedPlugin>& loaded() const { return loaded_; }

 private:
  Registry& registry_;
  std::vector<LoadedPlugin> loaded_;
};

/// The folder of the plugins that come with the program: ../lib/dnc-host/plugins beside it, both in
/// the build tree and where it is installed.
std::filesystem::path builtin_plugin_folder();

/// The stamp of this program (DNC_PLUGIN_STAMP).
std::string host_stamp();

}  // namespace dnc
