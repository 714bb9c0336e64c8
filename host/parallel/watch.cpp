#include "host/parallel/watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "registry/text.h"

namespace dnc {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kBeat = 1s;
constexpr auto kSeen = 2500ms;    // until all others have looked at the board
constexpr auto kSilent = 3500ms;  // so long without a sign of life, a rank is gone or stopped
constexpr auto kPatience = 12s;   // for all ranks to notice that contact is lost

}  // namespace

std::string FailureBoard::get(const std::string& key) {
  if (!store_->check({key})) return "";
  const auto bytes = store_->get(key);
  return {bytes.begin(), bytes.end()};
}

bool FailureBoard::claim(const std::string& text) {
  const std::string own = fmt::format("{}\n{}", getpid(), text);
  const auto won = store_->compareSet("failed", std::vector<uint8_t>(),
                                      std::vector<uint8_t>(own.begin(), own.end()));
  return std::string(won.begin(), won.end()) == own;
}

std::string FailureBoard::first() {
  const auto text = get("failed");
  return text.substr(text.find('\n') + 1);
}

void FailureBoard::live(int64_t rank, int64_t beat, const std::string& doing) {
  const auto text = fmt::format("{} {}", beat, doing);
  store_->set(fmt::format("alive/{}", rank), std::vector<uint8_t>(text.begin(), text.end()));
}

std::string FailureBoard::last_of(int64_t rank) { return get(fmt::format("alive/{}", rank)); }

void FailureBoard::mark(const std::string& what, int64_t rank) {
  store_->set(fmt::format("{}/{}", what, rank), std::vector<uint8_t>{1});
}

bool FailureBoard::is_marked(const std::string& what, int64_t rank) {
  return store_->check({fmt::format("{}/{}", what, rank)});
}

Watch::Watch(c10::intrusive_ptr<c10d::Store> store, RankEnvironment environment)
    : board_(std::move(store)),
      environment_(std::move(environment)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

Watch::~Watch() { stop(); }

void Watch::note(const std::string& doing) {
  const std::lock_guard lock(mutex_);
  doing_ = doing;
}

void Watch::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Watch::run(const std::stop_token& stop) {
  for (int64_t beat = 0; !stop.stop_requested(); ++beat) {
    try {
      std::unique_lock lock(mutex_);
      const auto doing = doing_;
      lock.unlock();
      board_.live(environment_.rank, beat, doing);
      if (!board_.first().empty()) {
        wait_for_watches(environment_);
        _exit(1);
      }
    } catch (const std::exception&) {
      // The process that serves the store is gone; who is told by a launcher need not say it.
      std::unique_lock lock(mutex_);
      if (stopping_.wait_for(lock, stop, kSilent, [] { return false; }) || stop.stop_requested()) {
        return;
      }
      if (!environment_.agent_store && environment_.rank == 1) {
        const auto text =
            fmt::format("error: rank 0 of {} is gone, or its machine\n", environment_.size);
        [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
      }
      _exit(1);
    }
    std::unique_lock lock(mutex_);
    stopping_.wait_for(lock, stop, kBeat, [] { return false; });
  }
}

namespace {

/// Ranks that have not noticed the loss, with their last sign of life and since when it stands.
using Silent = std::map<int64_t, std::pair<std::string, Clock::time_point>>;

void look(FailureBoard& board, int64_t size, Silent& silent) {
  for (int64_t rank = 0; rank < size; ++rank) {
    if (board.is_marked("lost contact", rank)) {
      silent.erase(rank);
      continue;
    }
    const auto sign = board.last_of(rank);
    const auto [known, is_new] = silent.try_emplace(rank, sign, Clock::now());
    if (!is_new && known->second.first != sign) known->second = {sign, Clock::now()};
  }
}

std::string doing(const std::string& sign) {
  const auto space = sign.find(' ');
  return space == std::string::npos ? "starting" : sign.substr(space + 1);
}

std::string describe(const Silent& silent, int64_t size, const std::string& reason) {
  if (silent.empty()) return "the ranks lost each other: " + reason;
  std::vector<std::string> parts;
  for (const auto& [rank, sign] : silent) {
    const bool lives = Clock::now() - sign.second < kSilent;
    parts.push_back(fmt::format(
        "rank {} of {} {} (last known: {})", rank, size,
        lives ? "is alive, but did not come to where the others waited for it"
              : "is gone: it was killed or crashed, hangs, or its machine cannot be reached",
        doing(sign.first)));
  }
  return join(parts, "; ") + ". What the others met: " + reason;
}

}  // namespace

void wait_for_watches(const RankEnvironment& environment) {
  if (environment.rank == 0 && !environment.agent_store) std::this_thread::sleep_for(kSeen);
}

std::string find_lost_ranks(FailureBoard& board, const RankEnvironment& environment,
                            const std::string& reason) {
  board.mark("lost contact", environment.rank);
  Silent silent;
  const auto end = Clock::now() + kPatience;
  for (;; std::this_thread::sleep_for(200ms)) {
    if (!board.first().empty()) return "";
    look(board, environment.size, silent);
    const auto gone = std::count_if(silent.begin(), silent.end(), [](const auto& each) {
      return Clock::now() - each.second.second >= kSilent;
    });
    if (gone == std::ssize(silent) || Clock::now() >= end) break;
  }
  return describe(silent, environment.size, reason);
}

}  // namespace dnc
