// Throws what is no exception at all.
#include "registry/plugin.h"

DNC_PLUGIN() { throw 42; }
