#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "host/explain/nearest_samples.h"

namespace dnc {

/// Counts, over test data, which class samples were taken for and which prototype of that class was
/// the nearest. Of pixels each location of the embedding map counts.
class ConfusionSearch {
 public:
  /// `prototypes` [C, K, D] of length 1.
  explicit ConfusionSearch(const torch::Tensor& prototypes);
  /// `scores` [R, C] of the points. Points that are not finite or without a label do not count.
  void add(const NearestSearch::Points& batch, const torch::Tensor& scores);

  int64_t classes() const { return prototypes_.size(0); }
  int64_t prototypes() const { return prototypes_.size(1); }
  /// Samples of the class `label` that prototype `index` of the class `taken_for` won.
  int64_t count(int64_t label, int64_t taken_for, int64_t index) const;
  /// Samples of the class `label` in all.
  int64_t count(int64_t label) const;
  /// What samples of a class were taken for: (taken_for, index) to how many, without zeros.
  const std::map<std::pair<int64_t, int64_t>, int64_t>& of(int64_t label) const;

 private:
  torch::Tensor prototypes_;                                            // float32
  std::vector<std::map<std::pair<int64_t, int64_t>, int64_t>> counts_;  // by class
};

}  // namespace dnc
