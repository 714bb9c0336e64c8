// Built for a host with another plugin interface.
#define DNC_PLUGIN_API 999
#include "registry/plugin.h"

DNC_PLUGIN() {}
