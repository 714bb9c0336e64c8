#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "host/parallel/ranks.h"
#include "host/program.h"

namespace dnc {

/// What a command that can run on several ranks lets its user choose about them.
struct RankOptions {
  int64_t timeout = 300;  // seconds
};

void add_rank_options(CLI::App& command, RankOptions& options);

/// Runs `body` on all ranks that a launcher has started, or on this process alone where none has.
/// Throws Error for an environment that cannot be; see run_job() for what a failure of a rank does.
int on_all_ranks(const RankOptions& options, const std::function<int(Ranks&)>& body);

/// From now on the experiments of `program` are those of one of several ranks: with its device, its
/// share of the cores, and what modules compute over all of them. Program::experiment() is then
/// collective, and throws Error where ranks differ in program, plugins or config.
void use_ranks(Program& program, Ranks& ranks);

/// Ends a command that runs in one process where a launcher has started several: all but rank 0
/// return true, and have nothing to do.
bool leave_to_rank_0(const std::string& command);

}  // namespace dnc
