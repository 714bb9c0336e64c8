// Registers one component, then throws a standard exception.
#include <stdexcept>

#include "registry/plugin.h"

namespace {

struct Half : dnc::Hook {};

}  // namespace

DNC_PLUGIN(registrar) {
  registrar.hook<Half>("Half", "Must not stay when the rest fails.");
  throw std::runtime_error("the licence has expired");
}
