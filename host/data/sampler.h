#pragma once

#include <cstdint>
#include <vector>

namespace dnc {

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
struct Sampler {
  int64_t size = 0;        // samples in the data set
  int64_t batch_size = 1;  // over all ranks
  bool shuffle = false;
  bool drop_last = false;  // leave out a last batch that is short
  uint64_t seed = 0;
  int64_t rank = 0;
  int64_t ranks = 1;  // divides batch_size

  /// Batches of an epoch; the same on every rank.
  int64_t batches() const;
  /// The samples of an epoch in their order: 0, 1, ..., size - 1, or a permutation of them
  /// (Fisher and Yates) that depends on (seed, epoch) alone.
  std::vector<int64_t> order(int64_t epoch) const;
  /// The part of batch b that this rank loads: the ranks share a batch in equal parts, one after
  /// the other. Of a short last batch parts may differ by one, or be empty.
  Slice slice(int64_t batch) const;
};

}  // namespace dnc
