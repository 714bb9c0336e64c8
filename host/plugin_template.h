#pragma once

#include <filesystem>
#include <string>

#include "registry/kind.h"
#include "registry/registry.h"

namespace dnc {

/// What a new plugin is called: in a config, and as a file.
struct PluginName {
  std::string type;  // "MyNet"
  std::string file;  // "my_net"
};

/// From either of the two. Throws Error for what cannot be a name of C++ and of a CMake target.
PluginName plugin_name(const std::string& given);

/// share/dnc-host/templates/plugin of this program: common/ and a folder for each kind.
std::filesystem::path plugin_templates();

/// Writes `folder` with a plugin of that kind that builds against an installed dnc-host: the files
/// of common/ and of the kind's folder, in which the template's name becomes the given one. The
/// folder appears whole or not at all. Throws Error where it exists, where the kind has no
/// template, and where `registry` has a component of that name already.
void write_plugin(const Registry& registry, Kind kind, const PluginName& name,
                  const std::filesystem::path& folder);

}  // namespace dnc
