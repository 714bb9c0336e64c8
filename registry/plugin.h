#pragma once

#include <torch/version.h>

#include "registry/backbone.h"
#include "registry/batch_transform.h"
#include "registry/context.h"
#include "registry/dataset.h"
#include "registry/decode_head.h"
#include "registry/error.h"
#include "registry/head.h"
#include "registry/hook.h"
#include "registry/loss.h"
#include "registry/metric.h"
#include "registry/optimizer.h"
#include "registry/plugin_api.h"
#include "registry/prototypes.h"
#include "registry/registry.h"
#include "registry/schedule.h"
#include "registry/transform.h"

#define DNC_STRINGIZE_(x) #x
#define DNC_STRINGIZE(x) DNC_STRINGIZE_(x)
#ifdef _GLIBCXX_DEBUG
#define DNC_STL_MODE "debug"
#else
#define DNC_STL_MODE "plain"
#endif

/// Everything that must be equal on both sides for C++ objects to cross. A macro, and stored as
/// data: the dynamic linker would merge an inline function with the host's copy, and then every
/// plugin would report the host's values.
#define DNC_PLUGIN_STAMP                                                    \
  "plugin api " DNC_STRINGIZE(DNC_PLUGIN_API) ", torch " TORCH_VERSION      \
  ", cxx11 abi " DNC_STRINGIZE(_GLIBCXX_USE_CXX11_ABI) ", stl " DNC_STL_MODE

/// Opens the one function that a plugin must have:
///
///   DNC_PLUGIN(registrar) { registrar.backbone<MyNet>("MyNet", "What it is."); }
#define DNC_PLUGIN(registrar)                                            \
  extern "C" DNC_EXPORT const char dnc_plugin_stamp[];                   \
  extern "C" DNC_EXPORT const char dnc_plugin_stamp[] = DNC_PLUGIN_STAMP; \
  extern "C" DNC_EXPORT void dnc_plugin_register(::dnc::Registrar& registrar)
