#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/experiment.h"
#include "host/plugin_loader.h"
#include "registry/communicator.h"

namespace dnc {

/// What must be the same on all ranks, by name: the program, its plugins and LibTorch, the kind of
/// device, and each value of the config ("config key optimizer.lr").
using Facts = std::vector<std::pair<std::string, std::string>>;
Facts facts_of(const Experiment& experiment, const PluginLoader& plugins);

/// Throws Error, the same on all ranks, where a rank has other facts than rank 0: it names the rank
/// and the first facts that differ. Collective.
void check_agreement(Communicator& ranks, const Facts& facts);

}  // namespace dnc
