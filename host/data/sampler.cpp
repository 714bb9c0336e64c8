#include "host/data/sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "registry/random.h"

namespace dnc {

namespace {

void shuffle_all(std::vector<int64_t>& items, Random& random) {
  for (auto i = static_cast<int64_t>(items.size()) - 1; i > 0; --i) {
    std::swap(items[static_cast<size_t>(i)], items[static_cast<size_t>(random.integer(0, i + 1))]);
  }
}

// What comes out of a buffer of so many items that starts full, where a random one of it makes room
// for the next. What is left at the end comes in random order.
std::vector<int64_t> shuffle_through_buffer(const std::vector<int64_t>& items, int64_t capacity,
                                            Random& random) {
  const auto size = static_cast<int64_t>(items.size());
  const int64_t filled = std::min(capacity, size);
  std::vector<int64_t> buffer(items.begin(), items.begin() + filled);
  std::vector<int64_t> out;
  out.reserve(items.size());
  for (int64_t next = filled; next < size; ++next) {
    auto& place = buffer[static_cast<size_t>(random.integer(0, filled))];
    out.push_back(std::exchange(place, items[static_cast<size_t>(next)]));
  }
  shuffle_all(buffer, random);
  out.insert(out.end(), buffer.begin(), buffer.end());
  return out;
}

}  // namespace

int64_t Sampler::batches() const {
  return drop_last ? size / batch_size : (size + batch_size - 1) / batch_size;
}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  Random random(seed, Purpose::kShuffle, static_cast<uint64_t>(epoch), 0);
  auto order = stored_order(random);
  if (shuffle && shards.empty()) {
    shuffle_all(order, random);
  } else if (shuffle) {
    order = shuffle_through_buffer(order, shuffle_buffer, random);
  }
  // From the end, where each position takes from one before it.
  for (int64_t i = size - 1; i > 0 && repeats > 1; --i) {
    order[static_cast<size_t>(i)] = order[static_cast<size_t>(i / repeats)];
  }
  return order;
}

// All samples as they are stored; with shuffle, the shards in random order.
std::vector<int64_t> Sampler::stored_order(Random& random) const {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle || shards.empty()) return order;
  std::vector<int64_t> begins(shards.size());
  std::exclusive_scan(shards.begin(), shards.end(), begins.begin(), int64_t{0});
  std::vector<int64_t> turns(shards.size());
  std::iota(turns.begin(), turns.end(), int64_t{0});
  shuffle_all(turns, random);
  auto out = order.begin();
  for (const int64_t turn : turns) {
    const auto shard = static_cast<size_t>(turn);
    std::iota(out, out + shards[shard], begins[shard]);
    out += shards[shard];
  }
  return order;
}

int64_t Sampler::share(int64_t batch) const {
  return (std::min(batch_size, size - batch * batch_size) + ranks - 1) / ranks;
}

Slice Sampler::slice(int64_t batch) const {
  const int64_t first = batch * batch_size;
  const int64_t last = std::min(first + batch_size, size);
  return {std::min(first + rank * share(batch), last),
          std::min(first + (rank + 1) * share(batch), last)};
}

}  // namespace dnc
