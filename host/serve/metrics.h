#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace dnc::serve {

/// Durations, counted in buckets of which each is 2^(1/16) = 1.044 times as wide as the one before.
/// Of fixed size however long a server runs. Thread-safe.
class Durations {
 public:
  void add(double seconds);
  int64_t count() const { return count_.load(std::memory_order_relaxed); }
  double sum() const { return static_cast<double>(nanoseconds_.load()) * 1e-9; }
  /// The duration that a share of all did not exceed, within 2.2 %; 0 where there are none.
  double percentile(double share) const;

 private:
  static constexpr int kSteps = 16;             // buckets of an octave
  static constexpr int kBuckets = 31 * kSteps;  // from 1 us to 35 minutes
  static constexpr double kSmallest = 1e-6;

  std::array<std::atomic<int64_t>, kBuckets> buckets_{};
  std::atomic<int64_t> count_ = 0;
  std::atomic<int64_t> nanoseconds_ = 0;
};

/// What a server counts. Thread-safe.
class Metrics {
 public:
  /// An answered request. `endpoint` is one of few names ("predict", "infer", "explain", "other").
  void add_request(const std::string& endpoint, int status, double seconds);
  /// One pass of the network over some images, of which the first had waited so long.
  void add_batch(int64_t images, double seconds, double waited);
  void set_waiting(int64_t images) { waiting_ = images; }

  /// Prometheus' text format, version 0.0.4.
  std::string prometheus() const;
  /// A line or two for the log: counts, percentiles, batch sizes.
  std::string summary() const;

 private:
  struct Endpoint {
    Durations durations;               // of answers below 400
    std::map<int, int64_t> by_status;  // guarded by mutex_
  };

  mutable std::mutex mutex_;  // guards the map; its nodes stay where they are
  std::map<std::string, Endpoint> endpoints_;
  std::map<int64_t, int64_t> batch_sizes_;  // guarded by mutex_
  Durations forwards_;
  Durations waits_;
  std::atomic<int64_t> images_ = 0;
  std::atomic<int64_t> waiting_ = 0;
};

}  // namespace dnc::serve
