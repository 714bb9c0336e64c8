#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "host/parallel/rank_environment.h"

namespace dnc {

/// What is known of a job when it fails, in the store of its ranks: signs of life of each rank, and
/// the first failure. So one message says who failed and why, and all others end without one.
class FailureBoard {
 public:
  explicit FailureBoard(c10::intrusive_ptr<c10d::Store> store) : store_(std::move(store)) {}

  /// A failure, `text`, of this rank or of another one. True for the first: it is to be shown.
  bool claim(const std::string& text);
  /// The first failure, if there is one.
  std::string first();
  /// A sign of life with what the rank does.
  void live(int64_t rank, int64_t beat, const std::string& doing);
  /// The last one: "12 step 57", or "" where there is none.
  std::string last_of(int64_t rank);
  /// This rank lost the others, or has ended.
  void mark(const std::string& what, int64_t rank);
  bool is_marked(const std::string& what, int64_t rank);

 private:
  std::string get(const std::string& key);
  c10::intrusive_ptr<c10d::Store> store_;
};

/// A thread beside the training of one rank. It gives a sign of life each second, and ends the
/// process, without a word, as soon as another rank has failed: this one may hang in a call that
/// waits for it.
class Watch {
 public:
  /// `store` is not shared with other threads.
  Watch(c10::intrusive_ptr<c10d::Store> store, RankEnvironment environment);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void note(const std::string& doing);
  /// From now on the failures of others do not matter to this process.
  void stop();

 private:
  void run(const std::stop_token& stop);

  FailureBoard board_;
  RankEnvironment environment_;
  std::mutex mutex_;
  std::condition_variable_any stopping_;
  std::string doing_ = "starting";
  std::jthread thread_;
};

/// A failure is on the board. The others look at it each second, so whoever serves it stays until
/// they have: else they would tell of a second failure.
void wait_for_watches(const RankEnvironment& environment);

/// After a rank has lost contact: waits some seconds for who is gone and says so, or "" where
/// another rank has said or says it. `reason` is what this rank met.
std::string find_lost_ranks(FailureBoard& board, const RankEnvironment& environment,
                            const std::string& reason);

}  // namespace dnc
