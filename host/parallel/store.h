#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <utility>

#include "host/parallel/rank_environment.h"

namespace dnc {

/// The table of names and values through which the ranks of a job find each other. Rank 0 serves
/// it, unless the launcher does; with all ranks on one machine it cannot be reached from another.
/// A job that was started again begins with an empty one. Throws Error that names the address: the
/// port is in use, or nobody answers within `timeout`.
c10::intrusive_ptr<c10d::Store> open_store(const RankEnvironment& environment,
                                           std::chrono::milliseconds timeout);

/// Serves a store for the ranks of this machine, at a free port, which is returned too.
std::pair<c10::intrusive_ptr<c10d::Store>, uint16_t> serve_store();
/// What open_store() shows of it to the ranks that were started for the `restart`-th time.
c10::intrusive_ptr<c10d::Store> store_of_restart(const c10::intrusive_ptr<c10d::Store>& store,
                                                 int64_t restart);

}  // namespace dnc
