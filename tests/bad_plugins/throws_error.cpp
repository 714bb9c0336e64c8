// Throws an exception of the host's own.
#include "registry/plugin.h"

DNC_PLUGIN() { throw dnc::DataError("/data/palette.txt: no such file"); }
