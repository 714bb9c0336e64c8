// Throws LibTorch's exception, which brings a stack with it.
#include <c10/util/Exception.h>

#include "registry/plugin.h"

DNC_PLUGIN() { TORCH_CHECK(false, "no kernel for this CPU"); }
