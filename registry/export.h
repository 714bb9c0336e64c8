#pragma once

/// Marks what crosses the border between the host and a plugin. All else is hidden, and must be:
/// g++ gives the inline variables and the statics of inline functions and templates that have
/// default visibility one address for the whole process, so two plugins would share them even
/// under RTLD_LOCAL.
#define DNC_EXPORT __attribute__((visibility("default")))
