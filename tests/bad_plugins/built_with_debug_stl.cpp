// Its stamp is that of a plugin compiled with -D_GLIBCXX_DEBUG, whose containers have another layout.
// LibTorch's headers do not compile that way, so only the stamp's header sees the macro.
#include <filesystem>

#include "registry/registry.h"

#define _GLIBCXX_DEBUG
#include "registry/plugin.h"

DNC_PLUGIN(registrar) { static_cast<void>(registrar); }
