#pragma once

#include <torch/types.h>

#include "registry/export.h"

namespace dnc {

/// The samples of a batch by a key in [0, size), such as their class: reductions over each group,
/// and rows of a table [size, ...] read and written by group.
///
/// Nothing is read back from the device, so the number of groups in use is not known: there are
/// min(N, size) numbers for them, which bounds the work by the batch, whatever `size` is. Where
/// size <= N, number g is key g. Else each sample has a number, and one of the samples of a key,
/// whichever, lends its own to the group.
class DNC_EXPORT Groups {
 public:
  /// `keys`: int64 [N].
  Groups(const torch::Tensor& keys, int64_t size);

  /// How many numbers there are; [G, ...] below.
  int64_t count() const { return count_; }
  /// The key of each group [G]; more than one may have the same key, and then one is in use.
  torch::Tensor keys() const;
  /// Whether a group may have samples [G]; never two of one key.
  torch::Tensor in_use() const;

  /// Sums of values [N, ...] to [G, ...]. The same bits each time, on a GPU too.
  torch::Tensor sum(const torch::Tensor& values) const;
  /// Largest of values [N, ...] to [G, ...]; the lowest number of the type where there is none.
  torch::Tensor max(const torch::Tensor& values) const;
  /// [G, ...] to what each sample finds in its group, [N, ...].
  torch::Tensor to_samples(const torch::Tensor& values) const;

  /// The rows of a table [size, ...] at each group's key, [G, ...].
  torch::Tensor read(const torch::Tensor& table) const;
  /// Replaces them by values [G, ...]. Groups without a sample must have what was read.
  void write(torch::Tensor& table, const torch::Tensor& values) const;

 private:
  bool by_key() const { return !numbers_.defined(); }

  int64_t count_;
  torch::Tensor keys_;     // [N]
  torch::Tensor numbers_;  // [N], the group of each sample; not there where it is the key
};

/// For each sample, how many before it have the same key and count too; int64 [N]. `counts`: bool
/// [N].
DNC_EXPORT torch::Tensor rank_in_group(const torch::Tensor& keys, const torch::Tensor& counts);

/// table[rows[i]] = values[i] for each i with keep[i], bool [N], without reading `keep` back. No
/// two of these have the same row. `table` [*, D], `rows` int64 [N], `values` [N, D].
DNC_EXPORT void write_rows(torch::Tensor& table, const torch::Tensor& rows,
                           const torch::Tensor& values, const torch::Tensor& keep);

}  // namespace dnc
