#pragma once

#include <string>
#include <vector>

#include "registry/registry.h"

namespace dnc {

/// The kind of that name ("head"). Throws ConfigError with the known ones.
Kind kind_from(const std::string& name);

/// All components of that name or alias; more than one where kinds share it. Throws ConfigError
/// with near names where there is none. `kind` narrows it, empty for all.
std::vector<const Component*> components_called(const Registry& registry, const std::string& name,
                                                const std::string& kind);

}  // namespace dnc
