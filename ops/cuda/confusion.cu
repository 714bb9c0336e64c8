#include "ops/cuda/confusion.cuh"
#include "ops/cuda/launch.h"

namespace dnc::cuda {
namespace {

/// Shared memory that a block has on every GPU since sm_80, once it has asked for it: enough for
/// the 150 classes of ADE20K.
constexpr int64_t kMostBytes = 96 * 1024;

}  // namespace

void count_confusion(const int64_t* predictions, const int64_t* labels, int64_t size,
                     int64_t classes, int64_t* counts, Stream stream) {
  if (size == 0) return;
  auto* const to = reinterpret_cast<Count*>(counts);
  const int64_t entries = classes * classes, bytes = entries * sizeof(unsigned);
  if (bytes > kMostBytes) {
    count_at_once<<<blocks_for(size), kThreads, 0, stream>>>(predictions, labels, size, classes,
                                                             to);
    return;
  }
  constexpr int kBlock = 1024;
  cudaFuncSetAttribute(count_in_blocks, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(kMostBytes));
  // A block has at least as many pairs as its table has numbers, which it must clear and add. No
  // more than 2^31 of them, which a number of the table holds.
  const int64_t blocks =
      std::max(std::clamp<int64_t>(size / std::max<int64_t>(entries, 4 * kBlock), 1, 264),
               parts(size, int64_t{1} << 31));
  count_in_blocks<<<static_cast<unsigned>(blocks), kBlock, bytes, stream>>>(predictions, labels,
                                                                            size, classes, to);
}

}  // namespace dnc::cuda
