#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "host/data/batch.h"
#include "host/data/sampler.h"
#include "registry/dataset.h"
#include "registry/transform.h"

namespace dnc {

struct LoaderOptions {
  int64_t batch_size = 1;  // over all ranks
  int64_t workers = 0;     // threads; 0 = next() does the work itself
  int64_t prefetch = 2;    // batches made ahead of the consumer; at least one a worker
  bool shuffle = false;
  int64_t shuffle_buffer = 10'000;  // samples, where the data set is in shards (see Sampler)
  int64_t repeats = 1;              // of each sample in a row, each with its own augmentation
  bool drop_last = false;
  uint64_t seed = 0;  // of the order, and of what the transforms do
  int64_t rank = 0;
  int64_t ranks = 1;
  int64_t max_bad_samples = 0;   // damaged samples that do not stop the run
  bool replace_bad = true;       // by the next good one; else their batch is smaller, or even empty
  bool equal_parts = false;      // for all ranks, also of a short last batch: see Loader
  bool free_label_size = false;  // label images of another size than their images (evaluation)
  bool pin = false;              // page-locked batches; needs a GPU
};

/// A sample that could not be loaded.
struct BadSample {
  int64_t index = 0;   // in the data set
  std::string reason;  // begins with its name
};

/// "val: 2 damaged samples do not count; the first: cat.png: is damaged". `bad` is not empty.
std::string bad_samples_text(const std::string& split, const std::vector<BadSample>& bad);

/// Samples of a data set, through the transforms, to batches in a fixed order: the same batches for
/// any number of workers, and after start(e, b) the same as after b calls of next() from start(e).
///
/// What the transforms do to a sample depends on (seed, epoch, index, repeat) alone.
///
/// A damaged sample (DataError from the data set, a transform or the decoder) stops the epoch, or
/// counts as bad while there are no more than `max_bad_samples` different ones in all epochs. Then
/// it is left out, or with `replace_bad` the next good sample in the order takes its place, under
/// its own index and with kIgnoredLabel, so that nothing is counted twice.
///
/// With `equal_parts` a rank that gets less of a short last batch than others fills up with samples
/// of that batch under kIgnoredLabel: the ranks compute with tensors of one size, and count each
/// sample once.
///
/// To be used by one thread.
class Loader {
 public:
  /// Throws DataError for an empty data set, and OptionError for options that cannot be.
  Loader(std::shared_ptr<const Dataset> dataset,
         std::vector<std::shared_ptr<const Transform>> transforms, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Of an epoch; the same on every rank.
  int64_t batches() const { return sampler_.batches(); }
  const Dataset& dataset() const { return *dataset_; }

  /// Begins an epoch at one of its batches. What an earlier one left is dropped.
  void start(int64_t epoch, int64_t first_batch = 0);

  /// The next batch; none at the end of the epoch. A short last batch may leave a rank without
  /// samples: without `equal_parts` it gets a batch of size 0. Throws what a worker threw for this
  /// batch: DataError, which begins with the name of the sample, or the error of a data set or
  /// transform that is at fault itself. After that the epoch is over, until start().
  std::optional<Batch> next();

  /// All bad samples so far, each once, as next() met them.
  const std::vector<BadSample>& bad_samples() const { return bad_samples_; }
  /// Counts those that other ranks have met, too. Throws DataError where they are too many.
  void add_bad_samples(const std::vector<BadSample>& bad) { count_bad(bad); }
  /// Seconds that next() took since start(): what loading costs the consumer.
  double waited() const { return waited_; }

 private:
  // What a worker makes of one batch.
  struct Made {
    Batch batch;
    std::vector<BadSample> bad;
    std::exception_ptr error;
  };

  void work(const std::stop_token& stop);
  void abandon_epoch();
  Made make(int64_t batch, const std::stop_token& stop) const;
  Batch build(int64_t batch, const std::stop_token& stop, std::vector<BadSample>& bad) const;
  Sample load_good(int64_t position, std::vector<BadSample>& bad) const;
  std::optional<Sample> load_if_good(int64_t position, std::vector<BadSample>& bad) const;
  Sample load(int64_t index, int64_t repeat) const;
  Made take();
  void count_bad(const std::vector<BadSample>& bad);

  std::shared_ptr<const Dataset> dataset_;
  std::vector<std::shared_ptr<const Transform>> transforms_;
  LoaderOptions options_;
  Sampler sampler_;
  int64_t window_;  // batches made and in the making, at most

  // Of the epoch; changed only while no worker is busy.
  int64_t epoch_ = 0;
  std::vector<int64_t> order_;
  std::atomic<bool> abandoned_ = false;

  std::mutex mutex_;                    // guards the next five
  std::condition_variable_any wanted_;  // a worker may have something to do
  std::condition_variable_any made_;    // a batch is ready, or a worker idle
  std::map<int64_t, Made> ready_;       // by batch
  int64_t claimed_ = 0;                 // the first batch that no worker has begun
  int64_t busy_ = 0;                    // workers

  int64_t consumed_ = 0;  // the batch that next() returns; guarded by mutex_ for workers to read
  int64_t end_ = 0;       // batches in the epoch, or where it broke off

  std::vector<BadSample> bad_samples_;
  double waited_ = 0;

  std::vector<std::jthread> threads_;  // last: stopped and joined before the rest goes
};

}  // namespace dnc
