#pragma once

#include <cstdint>

struct CUstream_st;

/// The kernels for NVIDIA GPUs, on plain memory of the device. Each function starts its kernels on
/// a stream and returns; nothing is read back. The sums are made in float32 and in a fixed order,
/// so that a result has the same bits each time. The .cu files include nothing of LibTorch: nvcc
/// takes a minute over its headers.
namespace dnc::cuda {

using Stream = CUstream_st*;  // cudaStream_t

enum class Type { kFloat, kHalf, kBFloat16 };

/// counts[label, prediction] += 1 for each of `size` pairs inside [0, classes); `counts` [classes,
/// classes].
void count_confusion(const int64_t* predictions, const int64_t* labels, int64_t size,
                     int64_t classes, int64_t* counts, Stream stream);

/// Bytes as a network takes them; see ops/normalize_images.h.
struct ImageNormalization {
  const uint8_t* images;
  int64_t image_stride, channel_stride, row_stride, column_stride;
  int64_t height, width;    // of the images
  const int64_t* corners;   // [count, 2], top and left of each crop; null for 0, 0
  const bool* flips;        // [count]; null for none
  int64_t count, channels;  // of the result
  int64_t out_height, out_width;
  float mean[4], scale[4];
};
void normalize_images(const ImageNormalization& images, Type type, void* result, Stream stream);

/// Rows of D numbers in any layout: number d of row r is at
/// r / per_image * image_stride + r % per_image * row_stride + d * stride.
struct RowLayout {
  int64_t per_image;
  int64_t image_stride;
  int64_t row_stride;
  int64_t stride;
};

/// factor / |x| of each row x [rows, D], 0 for a row of zeros: `scale` [rows].
void scale_rows(const void* x, RowLayout layout, int64_t rows, int64_t D, float factor, Type type,
                void* scale, Stream stream);

/// Largest of dots [rows, classes, K] times scale [rows], and its place 0..K-1. `scores` and
/// `index` have `stride` elements from row to row. NaN stays NaN; of equal ones the first.
void take_nearest(const void* dots, const void* scale, int64_t rows, int64_t classes, int64_t K,
                  int64_t stride, Type type, void* scores, uint8_t* index, Stream stream);

/// weights [rows, classes] at the places `index` [rows, classes] of `spread` [rows, classes, K],
/// and zeros elsewhere.
void spread_nearest(const void* weights, const uint8_t* index, int64_t rows, int64_t classes,
                    int64_t K, Type type, void* spread, Stream stream);

/// The gradient of rows x from that of factor * x / |x|, in place: `gradient` [rows, D]. `scale` is
/// what scale_rows() gives.
void unscale_gradient(const void* x, RowLayout layout, const void* scale, int64_t rows, int64_t D,
                      float factor, Type type, void* gradient, Stream stream);

/// Rows x to length 1, `points` [rows, D], and 1 / |x|, `scale` [rows]. A row whose label is
/// negative, and one of zeros, has points and scale 0.
void unit_rows(const float* x, RowLayout layout, const int64_t* labels, int64_t rows, int64_t D,
               float* points, float* scale, Stream stream);

/// Dot products of points [*, D] with the K prototypes of their class, [count, K]. Number i is
/// point rows[i], or i where `rows` is null; its class is labels[i], and where that is not in [0,
/// classes) the products are 0.
void own_similarities(const float* points, const int64_t* rows, const int64_t* labels,
                      const float* prototypes, int64_t count, int64_t classes, int64_t K, int64_t D,
                      float* similarities, Stream stream);

/// Rows in the order of their keys: sorted[i] is the key of row order[i]. Those with a key outside
/// [0, size) belong to no segment.
struct SortedKeys {
  const int64_t* sorted;
  const int64_t* order;
  int64_t rows;
  int64_t size;
};

/// As many sub-centroids as Sinkhorn's kernel can take.
inline constexpr int64_t kMostParts = 256;

/// The logits of the plan that ops/sinkhorn.h describes, similarities [rows, K] to `logits` [rows,
/// K], of which rows without a segment keep what is there. All iterations of all classes in one
/// launch.
void sinkhorn(const float* similarities, SortedKeys keys, int64_t K, int64_t iterations,
              float epsilon, float* logits, Stream stream);

/// Means of values [rows, D] by segment, `means` [size, D] and `counts` [size]; where no row is,
/// they keep what is there.
void segment_mean(const void* values, SortedKeys keys, int64_t D, Type type, void* means,
                  void* counts, Stream stream);

/// As ops/segments.h has it: rows of table [size, D] that have points [rows, D] move towards their
/// mean, and back to length 1. `moved` is room for segments(keys) rows of D.
void momentum_update(const float* points, SortedKeys keys, int64_t D, float momentum, float* moved,
                     float* table, Stream stream);

/// How many blocks go over the segments: not more than there are rows, nor keys.
inline int64_t segments(const SortedKeys& keys) {
  return keys.rows < keys.size ? keys.rows : keys.size;
}

/// relu(batch_norm(x) + residual) of channels-last x [rows, C]; see ops/batch_norm_relu.h.
struct BatchNorm {
  Type type;        // of x, y, residual and their gradients
  int64_t rows, C;  // rows = N * H * W
  const void* x;
  const float* weight;
  float* mean;     // [C], and
  float* rstd;     // [C], of the batch: written by statistics(), read by all others
  float* partial;  // room for partial_sums()
};

/// How many numbers BatchNorm::partial holds.
int64_t partial_sums(const BatchNorm& norm);

/// Mean and 1 / sqrt(var + eps) of the batch, and the running ones moved towards them.
void statistics(const BatchNorm& norm, float momentum, float eps, float* running_mean,
                float* running_var, Stream stream);

/// y from x; `residual` may be null.
void normalize_relu(const BatchNorm& norm, const float* bias, const void* residual, void* y,
                    Stream stream);

/// All gradients from that of y. Those of x and of the residual [rows, C], the latter null where
/// there is none; those of weight and bias [C]. `training` says whether the statistics are those of
/// the batch.
void normalize_relu_backward(const BatchNorm& norm, const void* gradient, const void* y,
                             bool training, void* x_gradient, void* residual_gradient,
                             float* weight_gradient, float* bias_gradient, Stream stream);

}  // namespace dnc::cuda
