// Has the stamp but not the entry.
#include "registry/plugin.h"

extern "C" DNC_EXPORT const char dnc_plugin_stamp[];
extern "C" DNC_EXPORT const char dnc_plugin_stamp[] = DNC_PLUGIN_STAMP;
