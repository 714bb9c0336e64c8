#pragma once

#include "registry/registry.h"

namespace dnc {

/// Registers the host's own components: losses, metrics, optimizers, schedules and hooks.
void register_components(Registrar& registrar);

}  // namespace dnc
