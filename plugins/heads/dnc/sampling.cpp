#include "plugins/heads/dnc/sampling.h"

#include <algorithm>

namespace dnc {
namespace {

constexpr int64_t kBits = 31;

/// Numbers 0..2^31-1 that look random, int64 [size]: a hash of the place and the seed. Unlike a
/// generator's, they are the same on every device.
torch::Tensor hash_numbers(int64_t size, uint64_t seed, const torch::TensorOptions& options) {
  const auto mask = (int64_t{1} << kBits) - 1;
  auto h = at::arange(size, options);
  for (const int64_t part : {seed & mask, seed >> kBits & mask, seed >> 2 * kBits}) {
    h.bitwise_xor_(part);
    h = h.bitwise_xor(h.bitwise_right_shift(16)).mul_(0x45d9f3b).bitwise_and_(mask);
  }
  return h.bitwise_xor(h.bitwise_right_shift(15)).mul_(0x2c1b3c6d).bitwise_and_(mask);
}

}  // namespace

torch::Tensor pick_of_each_class(const torch::Tensor& labels, int64_t classes, int64_t count,
                                 uint64_t seed) {
  const int64_t R = labels.size(0);
  if (labels.is_cpu() && R > 0) {  // elsewhere it would have to be waited for
    const auto largest = labels.max().item<int64_t>();
    TORCH_CHECK_INDEX(largest < classes, "DNC: label ", largest, " of ", classes, " classes");
  }
  const int64_t most = std::min(R, classes * std::min(count, R));
  // One sort by class and number; those that do not count are a class behind all others.
  const auto keys = labels.masked_fill(labels.lt(0), classes).bitwise_left_shift_(kBits);
  const auto [sorted, order] = keys.add_(hash_numbers(R, seed, labels.options()))
                                   .sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  const auto class_of = sorted.bitwise_right_shift(kBits);
  const auto rank = at::arange(R, labels.options()) - at::searchsorted(class_of, class_of);
  const auto picked = rank.lt(count).logical_and_(class_of.lt(classes));
  // Behind each other in the front; all others into one place more, which is cut off.
  const auto place = picked.cumsum(0).sub_(1).masked_fill_(picked.logical_not(), most);
  auto places = at::full({most + 1}, -1, labels.options());
  places.index_copy_(0, place, order);
  return places.narrow(0, 0, most);
}

}  // namespace dnc
