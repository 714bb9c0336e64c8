#pragma once

#include <cstdint>

/// The inner loops of the operators on x86-64 processors, on plain float32 arrays. Each is compiled
/// for AVX-512, for AVX with FMA and for any processor; the loader takes the right one.
namespace dnc::kernels {

#ifdef __x86_64__
inline constexpr bool kAvailable = true;
#else
inline constexpr bool kAvailable = false;
#endif

/// Rows of numbers in any layout: number d of row r is data[r * row_stride + d * stride].
struct Rows {
  const float* data;
  int64_t row_stride;
  int64_t stride;
};

/// As many classes are compared side by side, and rows of a multiple of kTile are the fastest.
inline constexpr int64_t kLanes = 16;
inline constexpr int64_t kTile = 12;

/// Prototypes [classes, K, D] of kLanes classes, or fewer, to `panel` [K, D, kLanes].
void pack_classes(const float* prototypes, int64_t classes, int64_t K, int64_t D, float* panel);

/// For each row x [rows, D] and each class the largest dot product with its prototypes, times
/// `factor` / |x|, and its place 0..K-1. `panels` are those of pack_classes(), [classes / kLanes,
/// K, D, kLanes], rounded up. `scale` [rows] becomes factor / |x|, 0 for a row of zeros. `scores`
/// and `index` have `stride` elements from row to row. NaN stays NaN.
void find_nearest(Rows x, int64_t rows, int64_t D, const float* panels, int64_t classes, int64_t K,
                  float factor, float* scale, int64_t stride, float* scores, uint8_t* index);

/// |x|^2 of each row, `squares` [rows].
void square_lengths(Rows x, int64_t rows, int64_t D, float* squares);

/// The rows x [rows, D] to length 1, `points` [rows, D], and 1 / |x|, `scale` [rows]. A row whose
/// label is negative, and one of zeros, has points and scale 0.
void unit_rows(Rows x, const int64_t* labels, int64_t rows, int64_t D, float* points, float* scale);

/// sums[numbers[i]] += values[i] for each row: `values` [rows, *] and `sums` [*, *] of `columns`
/// columns, both with `stride` elements from row to row.
void add_rows(const float* values, const int64_t* numbers, int64_t rows, int64_t columns,
              int64_t stride, float* sums);

/// The same with the larger of both in place of the sum.
void max_rows(const float* values, const int64_t* numbers, int64_t rows, int64_t columns,
              float* largest);

/// Dot products `dots` [rows, classes, K] to the largest of each class, times `scale` [rows], and
/// its place 0..K-1, of which a byte must be enough. `scores` and `index` have `stride` elements
/// from row to row. NaN stays NaN.
void take_nearest(const float* dots, const float* scale, int64_t rows, int64_t classes, int64_t K,
                  int64_t stride, float* scores, uint8_t* index);

/// The size of the part of a result that one call of sum_nearest() makes.
inline constexpr int64_t kRowBlock = 256;
inline constexpr int64_t kColumnBlock = 64;

/// out[n] = sum over c of weights[n, c] * prototypes[c, index[n, c]], for `rows` <= kRowBlock rows
/// and `columns` <= kColumnBlock columns. `weights` and `index` are [rows, classes], `prototypes`
/// [classes, K, D] and `out` [rows, D], the last two beginning at the first of the columns.
void sum_nearest(const float* weights, const uint8_t* index, const float* prototypes, int64_t rows,
                 int64_t classes, int64_t K, int64_t D, int64_t columns, float* out);

/// Dot products of points [*, D] with the K prototypes of their class, [count, K]. Number i is
/// point rows[i], or i where `rows` is null; its class is labels[i], and where that is negative
/// the products are 0.
void own_dots(const float* points, const int64_t* rows, const int64_t* labels,
              const float* prototypes, int64_t count, int64_t K, int64_t D, float* dots);

}  // namespace dnc::kernels
