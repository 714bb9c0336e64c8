#include "ops/cuda/launch.h"
#include "ops/cuda/segments.cuh"

namespace dnc::cuda {
namespace {

/// Whether rows of D numbers can be read kVector at a time.
template <typename T>
bool in_packs(const void* data, int64_t D, int vector) {
  return D % vector == 0 && reinterpret_cast<uintptr_t>(data) % (vector * sizeof(T)) == 0;
}

template <int kVector, typename T>
void start_means(const void* values, SortedKeys keys, int64_t D, void* means, void* counts,
                 Stream stream) {
  mean_of_each_segment<kVector, T>
      <<<static_cast<unsigned>(segments(keys)), kSegmentThreads, 0, stream>>>(
          static_cast<const T*>(values), keys, D, static_cast<T*>(means), static_cast<T*>(counts));
}

}  // namespace

void segment_mean(const void* values, SortedKeys keys, int64_t D, Type type, void* means,
                  void* counts, Stream stream) {
  if (segments(keys) == 0) return;
  with_type(type, [&](auto example) {
    using T = decltype(example);
    if (in_packs<T>(values, D, 4) && in_packs<T>(means, D, 4)) {
      start_means<4, T>(values, keys, D, means, counts, stream);
    } else {
      start_means<1, T>(values, keys, D, means, counts, stream);
    }
  });
}

void momentum_update(const float* points, SortedKeys keys, int64_t D, float momentum, float* moved,
                     float* table, Stream stream) {
  if (segments(keys) == 0) return;
  const auto blocks = static_cast<unsigned>(segments(keys));
  if (in_packs<float>(points, D, 4)) {
    move_each_row<4>
        <<<blocks, kSegmentThreads, 0, stream>>>(points, keys, D, momentum, moved, table);
  } else {
    move_each_row<1>
        <<<blocks, kSegmentThreads, 0, stream>>>(points, keys, D, momentum, moved, table);
  }
}

}  // namespace dnc::cuda
