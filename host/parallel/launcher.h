#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dnc {

struct LaunchOptions {
  int64_t ranks = 1;
  int64_t max_restarts = 0;  // times that all are started again after a failure
  double grace = 15;         // seconds that the others have to end when one has failed
};

/// Runs a program `ranks` times on this machine, as torchrun does: under its environment variables
/// and with a store that this process serves. Rank 0 has the terminal; lines of the others are
/// printed behind "[rank 1] ". SIGINT, SIGTERM and SIGHUP go to all of them, unless this process
/// was started with that signal ignored, as by nohup. When one fails the others are ended: they
/// have `grace` seconds, then SIGTERM, then SIGKILL. One that is killed is named with its signal.
/// Returns the exit code of the first that failed (128 + N for signal N; 127 for a program that
/// cannot be started, which says so), or 0. Throws Error where the system has no room for a
/// process.
int launch(const LaunchOptions& options, const std::vector<std::string>& command);

}  // namespace dnc
