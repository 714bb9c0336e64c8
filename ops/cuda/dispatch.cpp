// The operators torch.ops.dnc.* on NVIDIA GPUs: the kernels of this folder. What they do not take,
// such as float64, goes to LibTorch's operators, as without this library.

#include <ATen/ATen.h>
#include <torch/library.h>

#include <tuple>

#include "ops/batch_norm_relu.h"
#include "ops/blocks.h"
#include "ops/confusion.h"
#include "ops/cuda/arguments.h"
#include "ops/cuda/kernels.h"
#include "ops/nearest.h"
#include "ops/normalize_images.h"
#include "ops/segments.h"
#include "ops/sinkhorn.h"
#include "ops/unit_rows.h"

namespace dnc::cuda {
namespace {

using at::Tensor;

using Two = std::tuple<Tensor, Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;
using Four = std::tuple<Tensor, Tensor, Tensor, Tensor>;

/// Numbers of a block of products: few enough to stay in the second cache (50 MB on an H100), where
/// the next kernel finds them, and enough for a product that keeps the GPU busy.
constexpr int64_t kBlock = int64_t{1} << 23;

Tensor count_confusion_on_gpu(const Tensor& predictions, const Tensor& labels, int64_t classes) {
  check_count_confusion(predictions, labels, classes);
  auto counts = at::zeros({classes, classes}, labels.options());
  const auto found = predictions.contiguous(), wanted = labels.contiguous();
  const Launch launch(labels);
  count_confusion(found.const_data_ptr<int64_t>(), wanted.const_data_ptr<int64_t>(), wanted.numel(),
                  classes, counts.mutable_data_ptr<int64_t>(), launch.stream());
  launch.done();
  return counts;
}

Tensor normalize_images_on_gpu(const Tensor& images, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype,
                               const std::optional<Tensor>& corners, at::OptionalIntArrayRef size,
                               const std::optional<Tensor>& flips) {
  const auto type = type_of(dtype);
  if (!type) return dnc::normalize_images(images, mean, std, dtype, {corners, size, flips});
  const auto symbolic = check_normalize_images(images, mean, std, dtype, {corners, size, flips});
  const auto sizes = C10_AS_INTARRAYREF_SLOW(symbolic);
  auto result = at::empty(sizes, images.options().dtype(dtype), at::MemoryFormat::ChannelsLast);
  const auto top_left = corners ? std::optional(corners->contiguous()) : std::nullopt;
  const auto mirrored = flips ? std::optional(flips->contiguous()) : std::nullopt;
  ImageNormalization in{images.const_data_ptr<uint8_t>(),
                        images.stride(0),
                        images.stride(1),
                        images.stride(2),
                        images.stride(3),
                        images.size(2),
                        images.size(3),
                        data_or_null<int64_t>(top_left),
                        data_or_null<bool>(mirrored),
                        sizes[0],
                        sizes[1],
                        sizes[2],
                        sizes[3],
                        {},
                        {}};
  for (size_t c = 0; c < mean.size(); ++c) {
    in.mean[c] = static_cast<float>(mean[c]);
    in.scale[c] = 1 / static_cast<float>(std[c]);
  }
  const Launch launch(images);
  normalize_images(in, *type, result.mutable_data_ptr(), launch.stream());
  launch.done();
  return result;
}

/// Rows x [N, P, D] as they lie in memory.
RowLayout layout_of(const Tensor& x) { return {x.size(1), x.stride(0), x.stride(1), x.stride(2)}; }

/// Rows x [N, P, D] as one image, where the images lie behind each other.
Tensor as_one_image(const Tensor& x) {
  const bool together = x.stride(0) == x.size(1) * x.stride(1);
  return together ? x.as_strided({1, x.size(0) * x.size(1), x.size(2)},
                                 {x.stride(0) * x.size(0), x.stride(1), x.stride(2)})
                  : x;
}

/// The products of a block of rows and all prototypes, or those of some classes where that would
/// leave too few rows.
Three nearest_on_gpu(const Tensor& x, const Tensor& given, double factor) {
  check_nearest(x, given);
  const auto type = type_of(x.scalar_type());
  if (!type || x.numel() == 0) return nearest_of_classes(x, given, factor);
  const auto rows = as_one_image(flatten_rows(x)), prototypes = given.contiguous();
  const int64_t N = rows.size(0), P = rows.size(1), D = rows.size(2);
  const int64_t C = prototypes.size(0), K = prototypes.size(1);
  auto scores = at::empty({N * P, C}, x.options()), scale = at::empty({N * P}, x.options());
  auto index = at::empty({N * P, C}, x.options().dtype(at::kByte));
  const Launch launch(x);
  scale_rows(rows.const_data_ptr(), layout_of(rows), N * P, D, static_cast<float>(factor), *type,
             scale.mutable_data_ptr(), launch.stream());
  const int64_t step = std::max<int64_t>(kBlock / (C * K), 1024);
  const int64_t some = std::clamp<int64_t>(kBlock / (std::min(step, P) * K), 1, C);
  auto buffer = at::empty({std::min(step, P) * some * K}, x.options());
  for (int64_t i = 0; i < N * parts(P, step); ++i) {
    const int64_t image = i / parts(P, step);
    const auto [row, row_count] = part(i % parts(P, step), step, P);
    const auto block = rows.select(0, image).narrow(0, row, row_count);
    for (int64_t c = 0; c < C; c += some) {
      const int64_t classes = std::min(some, C - c);
      auto dots = buffer.narrow(0, 0, row_count * classes * K).view({row_count, classes * K});
      at::mm_out(dots, block, prototypes.narrow(0, c, classes).flatten(0, 1).t());
      const int64_t at = image * P + row;
      take_nearest(dots.const_data_ptr(), scale.narrow(0, at, row_count).const_data_ptr(),
                   row_count, classes, K, C, *type,
                   scores.narrow(0, at, row_count).narrow(1, c, classes).mutable_data_ptr(),
                   index.mutable_data_ptr<uint8_t>() + at * C + c, launch.stream());
      launch.done();
    }
  }
  auto sizes = x.sizes().vec();
  sizes.pop_back();
  const auto scales = scale.view(sizes);
  sizes.push_back(C);
  return {scores.view(sizes), index.view(sizes), scales};
}

/// out[r] = sum over c of weights[r, c] * prototypes[c, index[r, c]]: [R, D].
Tensor sum_nearest(const Tensor& weights, const Tensor& index, const Tensor& prototypes, Type type,
                   const Launch& launch) {
  const int64_t R = weights.size(0), C = weights.size(1), K = prototypes.size(1);
  const auto table = prototypes.flatten(0, 1);
  if (K == 1) return at::mm(weights, table);
  auto out = at::empty({R, prototypes.size(2)}, weights.options());
  const int64_t step = std::max<int64_t>(kBlock / (C * K), 1024);
  auto buffer = at::empty({std::min(step, R), C * K}, weights.options());
  for (int64_t i = 0; i < parts(R, step); ++i) {
    const auto [row, count] = part(i, step, R);
    const auto spread = buffer.narrow(0, 0, count);
    spread_nearest(weights.narrow(0, row, count).const_data_ptr(),
                   index.narrow(0, row, count).const_data_ptr<uint8_t>(), count, C, K, type,
                   spread.mutable_data_ptr(), launch.stream());
    launch.done();
    auto target = out.narrow(0, row, count);
    at::mm_out(target, spread, table);
  }
  return out;
}

Tensor nearest_backward_on_gpu(const Tensor& gradient, const Tensor& x, const Tensor& prototypes,
                               const Tensor& index, const Tensor& scale, double factor) {
  check_nearest(x, prototypes);
  const auto type = type_of(x.scalar_type());
  if (!type || x.numel() == 0) {
    return nearest_of_classes_backward(gradient, x, prototypes, index, scale, factor);
  }
  check_of_forward(gradient, x, prototypes, index, scale);
  const int64_t C = prototypes.size(0);
  const auto rows = flatten_rows(x), scales = scale.contiguous();
  const Launch launch(x);
  auto result = sum_nearest(gradient.contiguous().view({-1, C}), index.contiguous().view({-1, C}),
                            prototypes.contiguous(), *type, launch);
  unscale_gradient(rows.const_data_ptr(), layout_of(rows), scales.const_data_ptr(),
                   rows.size(0) * rows.size(1), rows.size(2), static_cast<float>(factor), *type,
                   result.mutable_data_ptr(), launch.stream());
  launch.done();
  return result.view(x.sizes());
}

/// Int64 [rows] on the GPU of the others, as the kernels read them.
Tensor numbers_of(const Tensor& given, int64_t rows, const Tensor& beside) {
  TORCH_CHECK(given.dim() == 1 && given.size(0) == rows && given.scalar_type() == at::kLong &&
                  given.device() == beside.device(),
              "dnc: expected int64 [", rows, "] on ", beside.device(), ", got ", given.sizes(),
              " of ", given.scalar_type(), " on ", given.device());
  return given.contiguous();
}

Tensor own_similarities_on_gpu(const Tensor& points, const std::optional<Tensor>& rows,
                               const Tensor& labels, const Tensor& prototypes) {
  if (!is_float(points)) return own_similarities_by_operators(points, rows, labels, prototypes);
  TORCH_CHECK(points.dim() == 2 && prototypes.dim() == 3 && points.size(1) == prototypes.size(2) &&
                  is_float(prototypes) && prototypes.device() == points.device(),
              "dnc: expected points [*, D] and prototypes [C, K, D] on one device, got ",
              points.sizes(), " and ", prototypes.sizes());
  const int64_t count = rows ? rows->numel() : points.size(0);
  auto similarities = at::empty({count, prototypes.size(1)}, points.options());
  const auto from = points.contiguous(), to = prototypes.contiguous();
  const auto own = numbers_of(labels, count, points);
  const auto chosen = rows ? std::optional(numbers_of(*rows, count, points)) : std::nullopt;
  const Launch launch(points);
  own_similarities(from.const_data_ptr<float>(), data_or_null<int64_t>(chosen),
                   own.const_data_ptr<int64_t>(), to.const_data_ptr<float>(), count, to.size(0),
                   to.size(1), to.size(2), similarities.mutable_data_ptr<float>(), launch.stream());
  launch.done();
  return similarities;
}

Two unit_rows_on_gpu(const Tensor& x, const Tensor& labels) {
  if (!is_float(x)) return unit_rows_by_operators(x, labels);
  TORCH_CHECK(x.dim() == 3, "dnc: expected rows [N, P, D], got ", x.sizes());
  auto points = at::empty({labels.size(0), x.size(2)}, x.options());
  auto scale = at::empty({labels.size(0)}, x.options());
  const auto own = numbers_of(labels, x.size(0) * x.size(1), x);
  const Launch launch(x);
  unit_rows(x.const_data_ptr<float>(), layout_of(x), own.const_data_ptr<int64_t>(), labels.size(0),
            x.size(2), points.mutable_data_ptr<float>(), scale.mutable_data_ptr<float>(),
            launch.stream());
  launch.done();
  return {points, scale};
}

/// Rows in the order of their keys, int64 [R]; those of a key in the order in which they come.
struct Sorted {
  Tensor keys, order;
  int64_t size;

  Sorted(const Tensor& given, int64_t size) : size(size) {
    std::tie(keys, order) = given.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  }
  SortedKeys view() const {
    return {keys.const_data_ptr<int64_t>(), order.const_data_ptr<int64_t>(), keys.size(0), size};
  }
};

Tensor sinkhorn_logits_on_gpu(const Tensor& similarities, const Tensor& labels, int64_t classes,
                              int64_t iterations, double epsilon) {
  TORCH_CHECK(similarities.dim() == 2, "dnc: expected similarities [N, K], got ",
              similarities.sizes());
  const int64_t K = similarities.size(1);
  if (!is_float(similarities) || K > kMostParts) {
    return sinkhorn_by_operators(similarities, labels, classes, iterations, epsilon);
  }
  const auto from = similarities.contiguous();
  auto logits = at::zeros_like(from);
  const Launch launch(similarities);
  const Sorted sorted(numbers_of(labels, similarities.size(0), similarities), classes);
  sinkhorn(from.const_data_ptr<float>(), sorted.view(), K, iterations, static_cast<float>(epsilon),
           logits.mutable_data_ptr<float>(), launch.stream());
  launch.done();
  return logits;
}

Two segment_mean_on_gpu(const Tensor& values, const Tensor& segments, int64_t size) {
  check_segments(values, segments);
  const auto type = type_of(values.scalar_type());
  if (!type) return dnc::segment_mean(values, segments, size);
  const int64_t D = values.size(1);
  auto means = at::zeros({size, D}, values.options()), counts = at::zeros({size}, values.options());
  const auto from = values.contiguous();
  const Launch launch(values);
  const Sorted sorted(segments, size);
  segment_mean(from.const_data_ptr(), sorted.view(), D, *type, means.mutable_data_ptr(),
               counts.mutable_data_ptr(), launch.stream());
  launch.done();
  return {means, counts};
}

void momentum_update_on_gpu(Tensor& table, const Tensor& points, const Tensor& rows,
                            double momentum) {
  check_momentum_update(table, points, rows);
  if (!is_float(table) || !is_float(points) || !table.is_contiguous()) {
    return momentum_update_by_operators(table, points, rows, momentum);
  }
  const auto from = points.contiguous();
  const Launch launch(table);
  const Sorted sorted(rows, table.size(0));
  auto moved = at::empty({segments(sorted.view()), table.size(1)}, table.options());
  momentum_update(from.const_data_ptr<float>(), sorted.view(), table.size(1),
                  static_cast<float>(momentum), moved.mutable_data_ptr<float>(),
                  table.mutable_data_ptr<float>(), launch.stream());
  launch.done();
  table.unsafeGetTensorImpl()->bump_version();
}

Tensor channels_last(const Tensor& x) { return x.contiguous(at::MemoryFormat::ChannelsLast); }

/// What the kernels are told of x, with room for their sums in `partial`.
BatchNorm batch_norm_of(Type type, const Tensor& x, const Tensor& weight, const Tensor& mean,
                        const Tensor& rstd, Tensor& partial) {
  BatchNorm norm{type,
                 x.size(0) * x.size(2) * x.size(3),
                 x.size(1),
                 x.const_data_ptr(),
                 weight.const_data_ptr<float>(),
                 mean.mutable_data_ptr<float>(),
                 rstd.mutable_data_ptr<float>(),
                 nullptr};
  partial = at::empty({partial_sums(norm)}, mean.options());
  norm.partial = partial.mutable_data_ptr<float>();
  return norm;
}

Three batch_norm_relu_forward_on_gpu(const Tensor& given, const std::optional<Tensor>& residual,
                                     const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                                     Tensor& running_var, bool training, double momentum,
                                     double eps) {
  check_batch_norm_relu(given, residual, {weight, bias, running_mean, running_var}, training);
  const auto type = type_of(given.scalar_type());
  if (!type || !running_mean.is_contiguous() || !running_var.is_contiguous()) {
    return dnc::batch_norm_relu_forward(given, residual, weight, bias, running_mean, running_var,
                                        training, momentum, eps);
  }
  const auto x = channels_last(given), own_weight = weight.contiguous(),
             own_bias = bias.contiguous();
  const auto added = residual ? channels_last(*residual) : Tensor();
  auto y = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  auto mean = training ? at::empty_like(own_weight) : running_mean.clone();
  auto rstd = training ? at::empty_like(own_weight) : (running_var + eps).rsqrt_();
  Tensor partial;
  const auto norm = batch_norm_of(*type, x, own_weight, mean, rstd, partial);
  const Launch launch(x);
  if (training) {
    statistics(norm, static_cast<float>(momentum), static_cast<float>(eps),
               running_mean.mutable_data_ptr<float>(), running_var.mutable_data_ptr<float>(),
               launch.stream());
    running_mean.unsafeGetTensorImpl()->bump_version();
    running_var.unsafeGetTensorImpl()->bump_version();
  }
  normalize_relu(norm, own_bias.const_data_ptr<float>(),
                 added.defined() ? added.const_data_ptr() : nullptr, y.mutable_data_ptr(),
                 launch.stream());
  launch.done();
  return {y, mean, rstd};
}

Four batch_norm_relu_backward_on_gpu(const Tensor& gradient, const Tensor& given, const Tensor& y,
                                     const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                                     bool training, bool residual) {
  check_batch_norm_relu_backward(gradient, given, y, {weight, mean, rstd});
  const auto type = type_of(given.scalar_type());
  if (!type) {
    return dnc::batch_norm_relu_backward(gradient, given, y, weight, mean, rstd, training,
                                         residual);
  }
  const auto x = channels_last(given), slope = channels_last(gradient), result = channels_last(y);
  const auto own_weight = weight.contiguous();
  auto of_x = at::empty(x.sizes(), x.options(), at::MemoryFormat::ChannelsLast);
  auto of_residual = residual ? at::empty_like(of_x) : at::empty({0}, x.options());
  auto of_weight = at::zeros_like(own_weight), of_bias = at::zeros_like(own_weight);
  Tensor partial;
  const auto norm = batch_norm_of(*type, x, own_weight, mean, rstd, partial);
  const Launch launch(x);
  normalize_relu_backward(
      norm, slope.const_data_ptr(), result.const_data_ptr(), training, of_x.mutable_data_ptr(),
      residual ? of_residual.mutable_data_ptr() : nullptr, of_weight.mutable_data_ptr<float>(),
      of_bias.mutable_data_ptr<float>(), launch.stream());
  launch.done();
  return {of_x, of_residual, of_weight, of_bias};
}

}  // namespace
}  // namespace dnc::cuda

TORCH_LIBRARY_IMPL(dnc, CUDA, library) {
  library.impl("nearest", dnc::cuda::nearest_on_gpu);
  library.impl("nearest_backward", dnc::cuda::nearest_backward_on_gpu);
  library.impl("segment_mean", dnc::cuda::segment_mean_on_gpu);
  library.impl("momentum_update_", dnc::cuda::momentum_update_on_gpu);
  library.impl("count_confusion", dnc::cuda::count_confusion_on_gpu);
  library.impl("normalize_images", dnc::cuda::normalize_images_on_gpu);
  library.impl("batch_norm_relu_forward", dnc::cuda::batch_norm_relu_forward_on_gpu);
  library.impl("batch_norm_relu_backward", dnc::cuda::batch_norm_relu_backward_on_gpu);
  library.impl("sinkhorn_logits", dnc::cuda::sinkhorn_logits_on_gpu);
  library.impl("own_similarities", dnc::cuda::own_similarities_on_gpu);
  library.impl("unit_rows", dnc::cuda::unit_rows_on_gpu);
}
