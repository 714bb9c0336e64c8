#pragma once

#include <string>

#include "registry/registry.h"

namespace dnc {

/// The JSON Schema (2020-12) of a config, with the options of every component in the registry.
std::string config_schema(const Registry& registry);

}  // namespace dnc
