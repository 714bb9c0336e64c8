// Calls a function that no library has.
#include "registry/plugin.h"

extern "C" void dnc_function_of_another_host();

DNC_PLUGIN() { dnc_function_of_another_host(); }
