#include "plugins/datasets/wrappers/view.h"

#include <algorithm>
#include <utility>

namespace dnc {

View::View(std::shared_ptr<const Dataset> source, std::vector<int64_t> indices)
    : source_(std::move(source)), indices_(std::move(indices)) {}

Sample View::load(int64_t index) const {
  auto sample = source_->load(source_index(index));
  sample.index = index;
  return sample;
}

std::vector<int64_t> View::shards() const {
  std::vector<int64_t> shards;
  int64_t end = 0;  // of the shard, in the source
  auto begin = indices_.begin();
  for (const int64_t size : source_->shards()) {
    end += size;
    const auto next = std::lower_bound(begin, indices_.end(), end);
    if (next != begin) shards.push_back(next - begin);
    begin = next;
  }
  return shards;
}

}  // namespace dnc
