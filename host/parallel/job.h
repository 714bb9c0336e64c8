#pragma once

#include <chrono>
#include <functional>

#include "host/parallel/ranks.h"

namespace dnc {

/// Joins the other ranks, runs `body`, and waits for all to end it; the exit code is what `body`
/// returns. Where a rank fails, all end: the first to fail prints why, with its rank, and writes it
/// to $TORCHELASTIC_ERROR_FILE; the others end without a word within seconds. A rank that is killed
/// or hangs is noticed by the others, at the latest when a call has taken `timeout`. After a
/// failure this does not return: the process ends.
int run_job(const RankEnvironment& environment, std::chrono::seconds timeout,
            const std::function<int(Ranks&)>& body);

}  // namespace dnc
