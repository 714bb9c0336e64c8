#include "plugins/heads/dnc/sample_memory.h"

namespace dnc {

SampleMemory::SampleMemory(int64_t classes, int64_t capacity, int64_t channels) {
  samples = register_buffer("samples", at::zeros({classes, capacity, channels}));
  added = register_buffer("added", at::zeros({classes}, torch::kLong));
}

void SampleMemory::add(const torch::Tensor& points, const torch::Tensor& labels,
                       const torch::Tensor& counts) {
  const int64_t capacity = samples.size(1);
  const auto rank = rank_in_group(labels, counts);
  const auto keep = counts.logical_and(rank.lt(capacity));
  const auto place = (added.index_select(0, labels) + rank).remainder(capacity);
  auto table = samples.flatten(0, 1);
  write_rows(table, labels * capacity + place, points, keep);
  added.index_add_(0, labels, keep.to(torch::kLong));
}

std::pair<torch::Tensor, torch::Tensor> SampleMemory::find(const Groups& classes) const {
  const int64_t capacity = samples.size(1);
  const auto keys = classes.keys().unsqueeze(1);                    // [G, 1]
  const auto places = at::arange(capacity, keys.options());         // [capacity]
  const auto filled = places.lt(classes.read(added).unsqueeze(1));  // [G, capacity]
  const auto there = filled.logical_and(classes.in_use().unsqueeze(1));
  return {(keys * capacity + places).flatten(), at::where(there, keys, -1).flatten()};
}

}  // namespace dnc
