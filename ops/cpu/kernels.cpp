#include "ops/cpu/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#ifdef __x86_64__

namespace dnc::kernels {
namespace {

/// 16 floats: one register of AVX-512, or several of a smaller processor.
using Vector [[gnu::vector_size(64), gnu::may_alias]] = float;
constexpr int64_t kWidth = 16;
constexpr int64_t kVectors = kColumnBlock / kWidth;
static_assert(kVectors == 4);

/// As many rows are measured together.
constexpr int64_t kBlock = 128;

/// sums[r] += value^2 of `count` values.
[[gnu::always_inline]] inline void add_squares(const float* values, int64_t stride, int64_t count,
                                               float* sums) {
  if (stride == 1) {
    for (int64_t r = 0; r < count; ++r) sums[r] += values[r] * values[r];
  } else {
    for (int64_t r = 0; r < count; ++r) sums[r] += values[r * stride] * values[r * stride];
  }
}

[[gnu::always_inline]] inline float square_length(const float* values, int64_t D) {
  float sums[kWidth] = {};
  int64_t d = 0;
  for (; d + kWidth <= D; d += kWidth) {
    for (int64_t j = 0; j < kWidth; ++j) sums[j] += values[d + j] * values[d + j];
  }
  float total = 0;
  for (; d < D; ++d) total += values[d] * values[d];
  for (const float sum : sums) total += sum;
  return total;
}

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
        Vector all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        for (int64_t half = kWidth / 2; half > 0; half /= 2) {
          for (int64_t j = 0; j < half; ++j) all[j] += all[j + half];
        }
        total = all[0];
        for (; d < D; ++d) total += a[d] * b[d];
      }
      dots[i * K + k] = total;
    }
  }
}

[[gnu::target_clones("avx512f", "fma", "default")]] void square_lengths(Rows x, int64_t rows,
                                                                        int64_t D, float* squares) {
  for (int64_t first = 0; first < rows; first += kBlock) {
    const int64_t count = std::min(kBlock, rows - first);
    if (x.stride == 1) {
      for (int64_t r = first; r < first + count; ++r) {
        squares[r] = square_length(x.data + r * x.row_stride, D);
      }
      continue;
    }
    float sums[kBlock] = {};
    for (int64_t d = 0; d < D; ++d) {
      add_squares(x.data + first * x.row_stride + d * x.stride, x.row_stride, count, sums);
    }
    std::copy_n(sums, count, squares + first);
  }
}

[[gnu::target_clones("avx512f", "fma", "default")]] void unit_rows(Rows x, const int64_t* labels,
                                                                   int64_t rows, int64_t D,
                                                                   float* points, float* scale) {
  square_lengths(x, rows, D, scale);
  for (int64_t r = 0; r < rows; ++r) {
    scale[r] = labels[r] >= 0 && scale[r] > 0 ? 1 / std::sqrt(scale[r]) : 0;
  }
  for (int64_t r = 0; r < rows && x.stride == 1; ++r) {
    const float* value = x.data + r * x.row_stride;
    for (int64_t d = 0; d < D; ++d) points[r * D + d] = scale[r] == 0 ? 0 : value[d] * scale[r];
  }
  // A map goes through a table that the first cache holds, each of its channels read from end to
  // end: its pixels are often a power of 2 apart from one channel to the next, and would push each
  // other out of the cache.
  constexpr int64_t kColumns = 32;
  float table[kColumns * kBlock];
  for (int64_t first = 0; first < rows && x.stride != 1; first += kBlock) {
    const int64_t count = std::min(kBlock, rows - first);
    for (int64_t column = 0; column < D; column += kColumns) {
      const int64_t columns = std::min(kColumns, D - column);
      for (int64_t d = 0; d < columns; ++d) {
        const float* value = x.data + first * x.row_stride + (column + d) * x.stride;
        for (int64_t r = 0; r < count; ++r) table[d * kBlock + r] = value[r * x.row_stride];
      }
      for (int64_t r = 0; r < count; ++r) {
        const float by = scale[first + r];
        float* point = points + (first + r) * D + column;
        for (int64_t d = 0; d < columns; ++d) point[d] = by == 0 ? 0 : table[d * kBlock + r] * by;
      }
    }
  }
}

[[gnu::target_clones("avx512f", "fma", "default")]] void add_rows(const float* values,
                                                                  const int64_t* numbers,
                                                                  int64_t rows, int64_t columns,
                                                                  int64_t stride, float* sums) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* value = values + i * stride;
    float* sum = sums + numbers[i] * stride;
    for (int64_t j = 0; j < columns; ++j) sum[j] += value[j];
  }
}

[[gnu::target_clones("avx512f", "fma", "default")]] void max_rows(const float* values,
                                                                  const int64_t* numbers,
                                                                  int64_t rows, int64_t columns,
                                                                  float* largest) {
  for (int64_t i = 0; i < rows; ++i) {
    const float* value = values + i * columns;
    float* most = largest + numbers[i] * columns;
    for (int64_t j = 0; j < columns; ++j) most[j] = value[j] > most[j] ? value[j] : most[j];
  }
}

}  // namespace dnc::kernels

#endif  // __x86_64__
