#include "ops/cuda/launch.h"
#include "ops/cuda/rows.cuh"

namespace dnc::cuda {
namespace {

unsigned blocks_of(RowLayout layout, int64_t rows) {
  return static_cast<unsigned>(parts(rows, layout.stride != 1 ? kWarp : kThreads / kWarp));
}

}  // namespace

void scale_rows(const void* x, RowLayout layout, int64_t rows, int64_t D, float factor, Type type,
                void* scale, Stream stream) {
  if (rows == 0) return;
  with_type(type, [&](auto example) {
    using T = decltype(example);
    scale_each_row<T><<<blocks_of(layout, rows), kThreads, 0, stream>>>(
        static_cast<const T*>(x), layout, rows, D, factor, static_cast<T*>(scale));
  });
}

void unscale_gradient(const void* x, RowLayout layout, const void* scale, int64_t rows, int64_t D,
                      float factor, Type type, void* gradient, Stream stream) {
  if (rows == 0) return;
  with_type(type, [&](auto example) {
    using T = decltype(example);
    unscale_each_gradient<T><<<blocks_of(layout, rows), kThreads, 0, stream>>>(
        static_cast<const T*>(x), layout, static_cast<const T*>(scale), rows, D, factor,
        static_cast<T*>(gradient));
  });
}

void unit_rows(const float* x, RowLayout layout, const int64_t* labels, int64_t rows, int64_t D,
               float* points, float* scale, Stream stream) {
  if (rows == 0) return;
  unit_each_row<<<blocks_of(layout, rows), kThreads, 0, stream>>>(x, layout, labels, rows, D,
                                                                  points, scale);
}

}  // namespace dnc::cuda
