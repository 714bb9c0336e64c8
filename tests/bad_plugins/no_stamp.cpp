// Has the entry but not the stamp: written without DNC_PLUGIN.
#include "registry/export.h"

namespace dnc {
class Registrar;
}

extern "C" DNC_EXPORT void dnc_plugin_register(dnc::Registrar&) {}
