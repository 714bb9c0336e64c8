// Registers a name that the host has already, after one that is new.
#include "registry/plugin.h"

namespace {

struct Watcher : dnc::Hook {};

struct Constant : dnc::Schedule {
  double factor(int64_t) const override { return 1; }
};

}  // namespace

DNC_PLUGIN(registrar) {
  registrar.hook<Watcher>("Watcher", "Must not stay when the rest fails.");
  registrar.schedule<Constant>("Constant", "The host has one.");
}
