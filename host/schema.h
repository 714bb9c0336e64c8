#pragma once

#include <string>

#include "registry/registry.h"

namespace dnc {

/// The JSON Schema of a config, with the options of every component in the registry. It is of draft
/// 7, the newest that YAML language servers read.
std::string config_schema(const Registry& registry);

}  // namespace dnc
