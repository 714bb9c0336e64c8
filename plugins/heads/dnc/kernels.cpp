#include "plugins/heads/dnc/kernels.h"

#include <algorithm>
#include <cstring>

#ifdef __x86_64__

namespace dnc::kernels {
namespace {

/// 16 floats: one register of AVX-512, or several of a smaller processor.
using Vector [[gnu::vector_size(64), gnu::may_alias]] = float;
constexpr int64_t kWidth = 16;
constexpr int64_t kVectors = kColumnBlock / kWidth;

}  // namespace

[[gnu::target_clones("avx512f", "fma", "default")]] void take_nearest(
    const float* dots, const float* scale, int64_t rows, int64_t classes, int64_t K, int64_t stride,
    float* scores, uint8_t* index) {
  for (int64_t row = 0; row < rows; ++row) {
    const float* dot = dots + row * classes * K;
    for (int64_t c = 0; c < classes; ++c, dot += K) {
      float best = dot[0];
      int64_t place = 0;
      for (int64_t k = 1; k < K; ++k) {
        place = dot[k] > best ? k : place;
        best = dot[k] > best ? dot[k] : best;
      }
      scores[row * stride + c] = best * scale[row];
      index[row * stride + c] = static_cast<uint8_t>(place);
    }
  }
}

// As many prototypes as fit the first cache are copied together, because rows that lie a multiple
// of 4 KB apart would push each other out of it; then all rows add up theirs.
[[gnu::target_clones("avx512f", "fma", "default")]] void sum_nearest(
    const float* weights, const uint8_t* index, const float* prototypes, int64_t rows,
    int64_t classes, int64_t K, int64_t D, int64_t columns, float* out) {
  alignas(64) float panel[256 * kColumnBlock];  // [at most 64 prototypes, or K, columns]
  alignas(64) float sums[kRowBlock * kColumnBlock];
  if (columns < kColumnBlock) std::memset(panel, 0, sizeof(panel));
  std::memset(sums, 0, rows * kColumnBlock * sizeof(float));
  const int64_t step = std::max<int64_t>(1, 64 / K);
  for (int64_t first = 0; first < classes; first += step) {
    const int64_t count = std::min(step, classes - first);
    for (int64_t p = 0; p < count * K; ++p) {
      std::memcpy(panel + p * kColumnBlock, prototypes + (first * K + p) * D,
                  columns * sizeof(float));
    }
    for (int64_t row = 0; row < rows; ++row) {
      const float* weight = weights + row * classes + first;
      const uint8_t* place = index + row * classes + first;
      auto* sum = reinterpret_cast<Vector*>(sums + row * kColumnBlock);
      Vector total[kVectors];
      for (int64_t v = 0; v < kVectors; ++v) total[v] = sum[v];
      for (int64_t c = 0; c < count; ++c) {
        const auto* chosen =
            reinterpret_cast<const Vector*>(panel + (c * K + place[c]) * kColumnBlock);
        for (int64_t v = 0; v < kVectors; ++v) total[v] += weight[c] * chosen[v];
      }
      for (int64_t v = 0; v < kVectors; ++v) sum[v] = total[v];
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(out + row * D, sums + row * kColumnBlock, columns * sizeof(float));
  }
}

[[gnu::target_clones("avx512f", "fma", "default")]] void own_dots(
    const float* points, const int64_t* rows, const int64_t* labels, const float* prototypes,
    int64_t count, int64_t K, int64_t D, float* dots) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < K; ++k) {
      float total = 0;
      if (labels[i] >= 0) {
        const float* a = points + (rows ? rows[i] : i) * D;
        const float* b = prototypes + (labels[i] * K + k) * D;
        Vector sums[kVectors] = {};
        int64_t d = 0;
        for (; d + kColumnBlock <= D; d += kColumnBlock) {
          for (int64_t v = 0; v < kVectors; ++v) {
            Vector x, y;  // neither array is aligned
            std::memcpy(&x, a + d + v * kWidth, sizeof(Vector));
            std::memcpy(&y, b + d + v * kWidth, sizeof(Vector));
            sums[v] += x * y;
          }
        }
        for (int64_t j = 0; j < kWidth; ++j) {
          for (int64_t v = 0; v < kVectors; ++v) total += sums[v][j];
        }
        for (; d < D; ++d) total += a[d] * b[d];
      }
      dots[i * K + k] = total;
    }
  }
}

}  // namespace dnc::kernels

#endif  // __x86_64__
