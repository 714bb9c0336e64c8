#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "ops/cpu/kernels.h"

#ifdef __x86_64__

namespace dnc::kernels {
namespace {

/// What a processor holds in a register: kWidth numbers. kLanes of them are kParts registers.
template <int kWidth>
struct Registers {
  using Vector [[gnu::vector_size(kWidth * sizeof(float))]] = float;
  using Places [[gnu::vector_size(kWidth * sizeof(int32_t))]] = int32_t;
  static constexpr int kParts = kLanes / kWidth;
};

/// The largest dot products so far of a tile of rows with the classes side by side.
template <int kWidth, int kRows>
struct Best {
  typename Registers<kWidth>::Vector dots[kRows][Registers<kWidth>::kParts];
  typename Registers<kWidth>::Places places[kRows][Registers<kWidth>::kParts];
};

/// Compares a tile of rows [D, kRows] with the prototypes k, k + 1, ..., `kTogether` of them, of
/// each class. All sums stay in registers, of which there are 32 of 16 numbers with AVX-512, 16 of
/// 8 with AVX, and 16 of 4 in any processor.
template <int kWidth, int kRows, int kTogether>
[[gnu::always_inline]] inline void compare(const float* rows, const float* panel, int64_t D,
                                           int64_t k, Best<kWidth, kRows>& best) {
  using Vector = typename Registers<kWidth>::Vector;
  using Places = typename Registers<kWidth>::Places;
  constexpr int kParts = Registers<kWidth>::kParts;
  Vector sums[kRows][kTogether][kParts] = {};
  const auto* prototype = reinterpret_cast<const Vector*>(panel) + k * D * kParts;
  for (int64_t d = 0; d < D; ++d, rows += kRows, prototype += kParts) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
      for (int j = 0; j < kTogether; ++j) {
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) sums[r][j][p] += rows[r] * prototype[j * D * kParts + p];
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int j = 0; j < kTogether; ++j) {
#pragma GCC unroll 4
      for (int p = 0; p < kParts; ++p) {
        Vector& most = best.dots[r][p];
        const Places larger = k + j == 0 ? Places{} - 1 : sums[r][j][p] > most;
        most = larger ? sums[r][j][p] : most;
        best.places[r][p] = larger ? Places{} + static_cast<int32_t>(k + j) : best.places[r][p];
      }
    }
  }
}

/// Rows of x to tiles [D, kRows], those that are missing as zeros. Where x is a map, each of its
/// channels is read once from end to end: its pixels are often a power of 2 apart from one channel
/// to the next, and would push each other out of the cache.
template <int kRows>
[[gnu::always_inline]] inline void pack_rows(Rows x, int64_t rows, int64_t D, float* tiles) {
  if (rows % kRows != 0) {
    float* last = tiles + rows / kRows * kRows * D;
    std::fill_n(last, kRows * D, 0);
  }
  if (x.row_stride == 1) {
    for (int64_t d = 0; d < D; ++d) {
      const float* values = x.data + d * x.stride;
      int64_t row = 0;
      for (; row + kRows <= rows; row += kRows) {
        std::memcpy(tiles + row * D + d * kRows, values + row, kRows * sizeof(float));
      }
      if (row < rows) {
        std::memcpy(tiles + row * D + d * kRows, values + row, (rows - row) * sizeof(float));
      }
    }
    return;
  }
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t count = std::min<int64_t>(kRows, rows - row);
    float* tile = tiles + row * D;
    for (int64_t d = 0; d < D; ++d) {
      const float* values = x.data + row * x.row_stride + d * x.stride;
      for (int64_t r = 0; r < count; ++r) tile[d * kRows + r] = values[r * x.row_stride];
    }
  }
}

/// factor / |x| of the rows of a tile, 0 for a row of zeros.
template <int kRows>
[[gnu::always_inline]] inline void measure(const float* tile, int64_t count, int64_t D,
                                           float factor, float* scale) {
  float squares[kRows] = {};
  for (int64_t d = 0; d < D; ++d) {
    for (int64_t r = 0; r < kRows; ++r) squares[r] += tile[d * kRows + r] * tile[d * kRows + r];
  }
  for (int64_t r = 0; r < count; ++r) {
    scale[r] = squares[r] == 0 ? 0 : factor / std::sqrt(squares[r]);
  }
}

template <int kWidth, int kRows>
[[gnu::always_inline]] inline void write(const Best<kWidth, kRows>& best, const float* scale,
                                         int64_t count, int64_t columns, int64_t stride,
                                         float* scores, uint8_t* index) {
  for (int64_t r = 0; r < count; ++r) {
    float dots[kLanes];
    int32_t places[kLanes];
    std::memcpy(dots, best.dots[r], sizeof(dots));
    std::memcpy(places, best.places[r], sizeof(places));
    for (int64_t c = 0; c < columns; ++c) {
      scores[r * stride + c] = dots[c] * scale[r];
      index[r * stride + c] = static_cast<uint8_t>(places[c]);
    }
  }
}

// All tiles go past 16 classes before the next 16 come, whose prototypes then stay in the cache.
template <int kWidth, int kRows, int kTogether>
[[gnu::always_inline]] inline void find_nearest_in_tiles(Rows x, int64_t rows, int64_t D,
                                                         const float* panels, int64_t classes,
                                                         int64_t K, float factor, float* scale,
                                                         int64_t stride, float* scores,
                                                         uint8_t* index) {
  const int64_t tiles = (rows + kRows - 1) / kRows;
  const std::unique_ptr<float[]> packed(new float[tiles * kRows * D]);
  pack_rows<kRows>(x, rows, D, packed.get());
  for (int64_t row = 0; row < rows; row += kRows) {
    measure<kRows>(packed.get() + row * D, std::min<int64_t>(kRows, rows - row), D, factor,
                   scale + row);
  }
  for (int64_t c = 0; c < classes; c += kLanes) {
    const float* panel = panels + c * K * D;
    for (int64_t row = 0; row < rows; row += kRows) {
      const float* tile = packed.get() + row * D;
      Best<kWidth, kRows> best;
      int64_t k = 0;
      for (; k + kTogether <= K; k += kTogether) {
        compare<kWidth, kRows, kTogether>(tile, panel, D, k, best);
      }
      for (; k < K; ++k) compare<kWidth, kRows, 1>(tile, panel, D, k, best);
      write<kWidth, kRows>(best, scale + row, std::min<int64_t>(kRows, rows - row),
                           std::min(kLanes, classes - c), stride, scores + row * stride + c,
                           index + row * stride + c);
    }
  }
}

[[gnu::target("avx512f")]] void find_nearest_avx512(Rows x, int64_t rows, int64_t D,
                                                    const float* panels, int64_t classes, int64_t K,
                                                    float factor, float* scale, int64_t stride,
                                                    float* scores, uint8_t* index) {
  find_nearest_in_tiles<16, kTile, 2>(x, rows, D, panels, classes, K, factor, scale, stride, scores,
                                      index);
}

[[gnu::target("avx2,fma")]] void find_nearest_avx2(Rows x, int64_t rows, int64_t D,
                                                   const float* panels, int64_t classes, int64_t K,
                                                   float factor, float* scale, int64_t stride,
                                                   float* scores, uint8_t* index) {
  find_nearest_in_tiles<8, kTile / 2, 1>(x, rows, D, panels, classes, K, factor, scale, stride,
                                         scores, index);
}

}  // namespace

// In squares, so that what is written stays in the first cache until its lines are full.
void pack_classes(const float* prototypes, int64_t classes, int64_t K, int64_t D, float* panel) {
  for (int64_t k = 0; k < K; ++k, panel += D * kLanes) {
    for (int64_t first = 0; first < D; first += kLanes) {
      const int64_t end = std::min(first + kLanes, D);
      for (int64_t c = 0; c < kLanes; ++c) {
        const float* prototype = prototypes + (c * K + k) * D;
        for (int64_t d = first; d < end; ++d) {
          panel[d * kLanes + c] = c < classes ? prototype[d] : 0;
        }
      }
    }
  }
}

void find_nearest(Rows x, int64_t rows, int64_t D, const float* panels, int64_t classes, int64_t K,
                  float factor, float* scale, int64_t stride, float* scores, uint8_t* index) {
  const auto find = __builtin_cpu_supports("avx512f") ? find_nearest_avx512
                    : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
                        ? find_nearest_avx2
                        : find_nearest_in_tiles<4, 2, 1>;
  find(x, rows, D, panels, classes, K, factor, scale, stride, scores, index);
}

}  // namespace dnc::kernels

#endif  // __x86_64__
