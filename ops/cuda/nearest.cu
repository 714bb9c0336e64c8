#include "ops/cuda/launch.h"
#include "ops/cuda/nearest.cuh"

namespace dnc::cuda {

void take_nearest(const void* dots, const void* scale, int64_t rows, int64_t classes, int64_t K,
                  int64_t stride, Type type, void* scores, uint8_t* index, Stream stream) {
  if (rows * classes == 0) return;
  with_type(type, [&](auto example) {
    using T = decltype(example);
    take_nearest_of_each<T><<<blocks_for(rows * classes), kThreads, 0, stream>>>(
        static_cast<const T*>(dots), static_cast<const T*>(scale), rows, classes, K, stride,
        static_cast<T*>(scores), index);
  });
}

void spread_nearest(const void* weights, const uint8_t* index, int64_t rows, int64_t classes,
                    int64_t K, Type type, void* spread, Stream stream) {
  if (rows == 0) return;
  with_type(type, [&](auto example) {
    using T = decltype(example);
    spread_each_row<T><<<static_cast<unsigned>(rows), kThreads, 0, stream>>>(
        static_cast<const T*>(weights), index, classes, K, static_cast<T*>(spread));
  });
}

void own_similarities(const float* points, const int64_t* rows, const int64_t* labels,
                      const float* prototypes, int64_t count, int64_t classes, int64_t K, int64_t D,
                      float* similarities, Stream stream) {
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>(parts(count, kThreads / kWarp));
  compare_with_own<<<blocks, kThreads, 0, stream>>>(points, rows, labels, prototypes, count,
                                                    classes, K, D, similarities);
}

}  // namespace dnc::cuda
