#pragma once

/// Raised by one with any change to a header in registry/. A test compares the hash below with the
/// headers and says what to write here.
#ifndef DNC_PLUGIN_API
#define DNC_PLUGIN_API 3
#endif
#define DNC_PLUGIN_API_HASH "dfda677a5b4c2c30"
