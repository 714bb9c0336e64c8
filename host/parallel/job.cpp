#include "host/parallel/job.h"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "host/ending.h"
#include "host/parallel/joined_ranks.h"
#include "host/parallel/store.h"
#include "host/parallel/watch.h"
#include "registry/text.h"

namespace dnc {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "an unknown machine";
}

/// What torchrun shows in its summary.
void write_error_file(const std::string& message) {
  const auto path = environment_variable("TORCHELASTIC_ERROR_FILE");
  if (!path) return;
  const nlohmann::json extra = {{"py_callstack", ""},
                                {"timestamp", std::to_string(std::time(nullptr))}};
  const nlohmann::json json = {{"message", {{"message", message}, {"extraInfo", extra}}}};
  std::ofstream(*path) << json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// Ends the process at once: threads of connections may wait for ranks that are gone.
[[noreturn]] void leave(int code) {
  std::cout.flush();
  std::cerr.flush();
  _exit(code);
}

void show(const Ending& ending) {
  std::cerr << ending.text() << std::flush;
  write_error_file(ending.message);
}

[[noreturn]] void fail(FailureBoard& board, const RankEnvironment& environment,
                       const std::exception_ptr& exception) {
  Ending ending = ending_of(exception);
  bool first = true;
  try {
    std::rethrow_exception(exception);
  } catch (const RanksError& error) {
    try {
      ending.message = find_lost_ranks(board, environment, error.what());
      first = !ending.message.empty() && board.claim(ending.message);
    } catch (const std::exception&) {  // the store is gone too
      ending.message = "rank 0, or the launcher, is gone: " + std::string(error.what());
      first = environment.rank == 1;
    }
  } catch (...) {
    ending.message = fmt::format("{} on {}: {}", environment.name(), host_name(), ending.message);
    try {
      first = board.claim(ending.message);
    } catch (const std::exception&) {
      // The store is gone: everybody says what he knows.
    }
  }
  if (first) show(ending);
  wait_for_watches(environment);
  leave(ending.code);
}

/// The ranks that have not come to a point of the program.
std::vector<std::string> missing(FailureBoard& board, int64_t size, const std::string& point) {
  std::vector<std::string> ranks;
  for (int64_t rank = 0; rank < size; ++rank) {
    if (!board.is_marked(point, rank)) ranks.push_back(std::to_string(rank));
  }
  return ranks;
}

/// Waits until all ranks have come; false where some do not within `timeout`.
bool wait_for_all(FailureBoard& board, int64_t size, const std::string& point,
                  std::chrono::seconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!missing(board, size, point).empty()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

void wait_for_start(FailureBoard& board, const RankEnvironment& environment,
                    std::chrono::seconds timeout) {
  board.mark("started", environment.rank);
  if (wait_for_all(board, environment.size, "started", timeout)) return;
  throw Error(fmt::format("of {} ranks by {}, {} did not start within {} s (--rank-timeout)",
                          environment.size, environment.launcher,
                          join(missing(board, environment.size, "started")), timeout.count()));
}

}  // namespace

int run_job(const RankEnvironment& environment, std::chrono::seconds timeout,
            const std::function<int(Ranks&)>& body) {
  const auto store = open_store(environment, timeout);
  FailureBoard board(store);
  Watch watch(store->clone(), environment);
  try {
    wait_for_start(board, environment, timeout);
    JoinedRanks ranks(store->clone(), environment.rank, environment.size, timeout,
                      environment.one_machine(),
                      [&](const std::string& what) { watch.note(what); });
    const int code = body(ranks);
    watch.note("ended");
    board.mark("ended", environment.rank);
    // Rank 0 may serve the store, and all need each other's connections to the end.
    wait_for_all(board, environment.size, "ended", timeout);
    watch.stop();
    board.mark("left", environment.rank);
    if (environment.rank == 0) {
      wait_for_all(board, environment.size, "left", std::chrono::seconds(5));
    }
    return code;
  } catch (...) {
    const auto exception = std::current_exception();
    watch.stop();
    fail(board, environment, exception);
  }
}

}  // namespace dnc
