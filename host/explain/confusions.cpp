#include "host/explain/confusions.h"

#include <torch/torch.h>

#include "host/explain/members.h"
#include "registry/head.h"

namespace dnc {

ConfusionSearch::ConfusionSearch(const torch::Tensor& prototypes)
    : prototypes_(prototypes.to(torch::kFloat32)),
      counts_(static_cast<size_t>(prototypes.size(0))) {}

void ConfusionSearch::add(const NearestSearch::Points& batch, const torch::Tensor& scores) {
  const auto good = batch.values.isfinite()
                        .all(1)
                        .logical_and(batch.labels.ne(kIgnoredLabel))
                        .nonzero()
                        .squeeze(1);
  const auto taken = scores.argmax(1).index_select(0, good);
  const auto [nearest, cosines] =
      nearest_of_class(batch.values.index_select(0, good), taken, prototypes_);
  const auto labels = batch.labels.index_select(0, good).cpu();
  const auto classes = taken.cpu(), indices = nearest.cpu();
  for (int64_t i = 0; i < labels.size(0); ++i) {
    const auto label = labels.const_data_ptr<int64_t>()[i];
    ++counts_.at(static_cast<size_t>(
        label))[{classes.const_data_ptr<int64_t>()[i], indices.const_data_ptr<int64_t>()[i]}];
  }
}

int64_t ConfusionSearch::count(int64_t label, int64_t taken_for, int64_t index) const {
  const auto& counts = of(label);
  const auto found = counts.find({taken_for, index});
  return found == counts.end() ? 0 : found->second;
}

int64_t ConfusionSearch::count(int64_t label) const {
  int64_t sum = 0;
  for (const auto& [key, count] : of(label)) sum += count;
  return sum;
}

const std::map<std::pair<int64_t, int64_t>, int64_t>& ConfusionSearch::of(int64_t label) const {
  return counts_.at(static_cast<size_t>(label));
}

}  // namespace dnc
