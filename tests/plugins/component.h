#pragma once

#include <memory>
#include <string>

#include "registry/config.h"
#include "registry/error.h"
#include "registry/registry.h"

namespace dnc {

/// Builds T as a config would: `yaml` is its map, e.g. "{type: T, depth: 8}". T is known as "T",
/// and the text as the file "test.yaml". Throws ConfigError for the options.
template <typename Interface, typename T>
std::shared_ptr<Interface> build_component(const std::string& yaml, const Context& context = {}) {
  Registry registry;
  registry.add(detail::describe<Interface, T>("T", "Under test.", {}));
  return registry.build<Interface>(parse_config(yaml, "test.yaml"), context);
}

/// What the ConfigError says that building T gives, or nothing where it is built.
template <typename Interface, typename T>
std::string build_error(const std::string& yaml, const Context& context = {}) {
  try {
    build_component<Interface, T>(yaml, context);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

}  // namespace dnc
