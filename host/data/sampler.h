#pragma once

#include <cstdint>
#include <vector>

namespace dnc {

class Random;

/// Consecutive positions [first, last) in the order of an epoch.
struct Slice {
  int64_t first = 0;
  int64_t last = 0;
  int64_t size() const { return last - first; }
  bool operator==(const Slice&) const = default;
};

/// Which samples make which batch: a pure function of the options, the epoch and the batch. Nothing
/// is drawn along the way, so a resumed run goes on where it stopped, and the order is the same for
/// any number of ranks that divides the batch.
///
/// A data set in shards is shuffled so that it is read nearly in order: the shards are put into a
/// random order, and their samples, one after the other, go through a buffer. Once it is full, a
/// random sample of it makes room for the next one. So each sample comes once an epoch, at most
/// `shuffle_buffer` positions before its place in that row, and with each so many positions behind
/// it e times more rarely: at any time nearly all reading is in the shards that a few buffers reach
/// over. A buffer of all samples shuffles like a data set without shards.
///
/// With `repeats` (Hoffer et al., "Augment your batch", CVPR 2020, as in DeiT's RASampler) each
/// sample comes so many times in a row, and an epoch ends after as many samples as ever: it sees
/// 1 / repeats of the data set.
struct Sampler {
  int64_t size = 0;        // samples in the data set
  int64_t batch_size = 1;  // over all ranks
  bool shuffle = false;
  bool drop_last = false;  // leave out a last batch that is short
  uint64_t seed = 0;
  std::vector<int64_t> shards;      // their sizes, which sum to `size`; or empty
  int64_t shuffle_buffer = 10'000;  // samples; at least 1
  int64_t repeats = 1;              // of each sample
  int64_t rank = 0;
  int64_t ranks = 1;  // divides batch_size

  /// Batches of an epoch; the same on every rank.
  int64_t batches() const;
  /// The sample at each of the `size` positions of an epoch: 0, 1, ..., size - 1, or a permutation
  /// of them (Fisher and Yates) that depends on (seed, epoch) alone; with repeats the beginning of
  /// that, each sample several times.
  std::vector<int64_t> order(int64_t epoch) const;
  /// Which of its repeats a sample is at a position, from 0.
  int64_t repeat(int64_t position) const { return position % repeats; }
  /// The samples of batch b that fall to each rank: a short last batch is rounded up.
  int64_t share(int64_t batch) const;
  /// The part of batch b that this rank loads: the ranks share a batch in equal parts, one after
  /// the other. Of a short last batch the last ranks may get less, or nothing.
  Slice slice(int64_t batch) const;

 private:
  std::vector<int64_t> stored_order(Random& random) const;
};

}  // namespace dnc
