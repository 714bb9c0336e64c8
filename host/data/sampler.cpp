#include "host/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "registry/random.h"

namespace dnc {

int64_t Sampler::batches() const {
  return drop_last ? size / batch_size : (size + batch_size - 1) / batch_size;
}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle) return order;
  Random random(seed, Purpose::kShuffle, static_cast<uint64_t>(epoch), 0);
  for (int64_t i = size - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.integer(0, i + 1))]);
  }
  return order;
}

Slice Sampler::slice(int64_t batch) const {
  const int64_t first = batch * batch_size;
  const int64_t count = std::min(batch_size, size - first);
  return {first + rank * count / ranks, first + (rank + 1) * count / ranks};
}

}  // namespace dnc
