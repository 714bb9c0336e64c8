#include "ops/nearest.h"

#include <ATen/TracerMode.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <utility>

#include "ops/blocks.h"
#include "ops/cpu/kernels.h"

namespace dnc {
namespace {

/// Where rows are fewer, laying out the prototypes anew would take as long as it saves.
constexpr int64_t kFewRows = 64;

/// As many numbers of the rows are kept while all classes pass by: what a second cache holds.
constexpr int64_t kCachedNumbers = 96 * 1024;

/// A result of all rows of x, [N, P, D].
struct Nearest {
  torch::Tensor scores;  // [N * P, C]
  torch::Tensor index;   // uint8 [N * P, C], the nearest of each class
  torch::Tensor scale;   // [N * P], factor / |x|, 0 for a row of zeros
};

Nearest empty_for(const torch::Tensor& x, const torch::Tensor& prototypes) {
  const int64_t R = x.size(0) * x.size(1), C = prototypes.size(0);
  return {at::empty({R, C}, x.options()), at::empty({R, C}, x.options().dtype(torch::kByte)),
          at::empty({R}, x.options())};
}

/// Largest of dots [rows, classes, K] times scale [rows], and where: the same block of `scores`
/// and `index`, [rows, classes] of a wider matrix.
void take_nearest(const torch::Tensor& dots, const torch::Tensor& scale, torch::Tensor scores,
                  torch::Tensor index) {
  if (!has_kernels(dots)) {
    const auto [best, place] = dots.max(2);
    at::mul_out(scores, best, scale.unsqueeze(1));
    index.copy_(place);
    return;
  }
  if constexpr (kernels::kAvailable) {
    const int64_t rows = dots.size(0), classes = dots.size(1), K = dots.size(2);
    constexpr int64_t kRows = 16;
    parallel(parts(rows, kRows), kRows * classes * K, [&](int64_t i) {
      const auto [row, count] = part(i, kRows, rows);
      const int64_t stride = scores.stride(0);
      kernels::take_nearest(dots.const_data_ptr<float>() + row * classes * K,
                            scale.const_data_ptr<float>() + row, count, classes, K, stride,
                            scores.mutable_data_ptr<float>() + row * stride,
                            index.mutable_data_ptr<uint8_t>() + row * stride);
    });
  }
}

/// By matrix products, for any device: blocks of all classes, unless that leaves too few rows for a
/// product to be fast.
Nearest find_nearest_by_products(const torch::Tensor& x, const torch::Tensor& prototypes,
                                 double factor) {
  const int64_t P = x.size(1), C = prototypes.size(0), K = prototypes.size(1);
  auto result = empty_for(x, prototypes);
  const auto length = at::linalg_vector_norm(x, 2, 2).flatten();
  result.scale = length.reciprocal().masked_fill_(length.eq(0), 0).mul_(factor);
  const int64_t rows = std::max<int64_t>(block_size(x) / (C * K), 1024);
  const int64_t classes = std::clamp<int64_t>(block_size(x) / (std::min(rows, P + 1) * K), 1, C);
  auto buffer = at::empty({std::min(rows, P) * classes * K}, x.options());
  for (int64_t i = 0; i < x.size(0) * parts(P, rows); ++i) {
    const int64_t image = i / parts(P, rows);
    const auto [row, row_count] = part(i % parts(P, rows), rows, P);
    const auto block = x.select(0, image).narrow(0, row, row_count);
    for (int64_t j = 0; j < parts(C, classes); ++j) {
      const auto [c, class_count] = part(j, classes, C);
      auto dots = buffer.narrow(0, 0, row_count * class_count * K).view({row_count, -1});
      at::mm_out(dots, block, prototypes.narrow(0, c, class_count).flatten(0, 1).t());
      const int64_t at = image * P + row;
      take_nearest(dots.view({row_count, class_count, K}), result.scale.narrow(0, at, row_count),
                   result.scores.narrow(0, at, row_count).narrow(1, c, class_count),
                   result.index.narrow(0, at, row_count).narrow(1, c, class_count));
    }
  }
  return result;
}

/// By a kernel that keeps the largest products in registers and never writes the others. As many
/// classes at once as make a block.
Nearest find_nearest_by_kernel(const torch::Tensor& x, const torch::Tensor& prototypes,
                               double factor) {
  auto result = empty_for(x, prototypes);
  if constexpr (kernels::kAvailable) {
    const int64_t P = x.size(1), C = prototypes.size(0), K = prototypes.size(1), D = x.size(2);
    const int64_t panel = kernels::kLanes * K * D;
    const int64_t classes = std::max<int64_t>(1, block_size(x) / panel) * kernels::kLanes;
    auto panels = at::empty({parts(std::min(classes, C), kernels::kLanes) * panel}, x.options());
    auto* const packed = panels.mutable_data_ptr<float>();
    const int64_t tiles = std::clamp<int64_t>(kCachedNumbers / (D * kernels::kTile), 1, 8);
    const int64_t rows = tiles * kernels::kTile;
    for (int64_t i = 0; i < parts(C, classes); ++i) {
      const int64_t first = i * classes, count = std::min(classes, C - first);
      const auto* const own = prototypes.const_data_ptr<float>() + first * K * D;
      parallel(parts(count, kernels::kLanes), panel, [&](int64_t j) {
        const auto [c, some] = part(j, kernels::kLanes, count);
        kernels::pack_classes(own + c * K * D, some, K, D, packed + j * panel);
      });
      const auto block = [&](int64_t j) {
        const auto [row, some] = part(j % parts(P, rows), rows, P);
        const int64_t image = j / parts(P, rows), at = image * P + row;
        const auto* const data =
            x.const_data_ptr<float>() + image * x.stride(0) + row * x.stride(1);
        kernels::find_nearest({data, x.stride(1), x.stride(2)}, some, D, packed, count, K,
                              static_cast<float>(factor),
                              result.scale.mutable_data_ptr<float>() + at, C,
                              result.scores.mutable_data_ptr<float>() + at * C + first,
                              result.index.mutable_data_ptr<uint8_t>() + at * C + first);
      };
      parallel(x.size(0) * parts(P, rows), rows * count * K * D, block);
    }
  }
  return result;
}

Nearest find_nearest(const torch::Tensor& x, const torch::Tensor& prototypes, double factor) {
  const int64_t rows = x.size(0) * x.size(1), C = prototypes.size(0);
  const bool fills_lanes = 2 * C >= parts(C, kernels::kLanes) * kernels::kLanes;
  return has_kernels(x) && rows >= kFewRows && fills_lanes
             ? find_nearest_by_kernel(x, prototypes, factor)
             : find_nearest_by_products(x, prototypes, factor);
}

/// out[r] = sum over c of weights[r, c] * prototypes[c, index[r, c]]: [R, D].
torch::Tensor sum_nearest(const torch::Tensor& weights, const torch::Tensor& index,
                          const torch::Tensor& prototypes) {
  const int64_t R = weights.size(0), C = weights.size(1);
  const int64_t K = prototypes.size(1), D = prototypes.size(2);
  const auto table = prototypes.flatten(0, 1);
  if (K == 1) return at::mm(weights, table);
  auto out = at::empty({R, D}, weights.options());
  if (!has_kernels(weights)) {
    const int64_t rows = std::max<int64_t>(1, block_size(weights) / (C * K));
    for (int64_t i = 0; i < parts(R, rows); ++i) {
      const auto [row, count] = part(i, rows, R);
      auto spread = at::zeros({count, C, K}, weights.options());
      spread.scatter_(2, index.narrow(0, row, count).unsqueeze(2).to(torch::kLong),
                      weights.narrow(0, row, count).unsqueeze(2));
      auto target = out.narrow(0, row, count);
      at::mm_out(target, spread.flatten(1), table);
    }
    return out;
  }
  if constexpr (kernels::kAvailable) {
    const auto* w = weights.const_data_ptr<float>();
    const auto* places = index.const_data_ptr<uint8_t>();
    const auto* p = table.const_data_ptr<float>();
    auto* result = out.mutable_data_ptr<float>();
    const int64_t columns = parts(D, kernels::kColumnBlock);
    const int64_t cost = std::min(R, kernels::kRowBlock) * C * kernels::kColumnBlock;
    parallel(parts(R, kernels::kRowBlock) * columns, cost, [&](int64_t i) {
      const auto [row, row_count] = part(i / columns, kernels::kRowBlock, R);
      const auto [column, column_count] = part(i % columns, kernels::kColumnBlock, D);
      kernels::sum_nearest(w + row * C, places + row * C, p + column, row_count, C, K, D,
                           column_count, result + row * D + column);
    });
  }
  return out;
}

/// The same in operators that a trace can record.
torch::Tensor traceable_nearest_cosine(const torch::Tensor& x, const torch::Tensor& prototypes,
                                       double factor) {
  const auto length = at::linalg_vector_norm(x, 2, -1, /*keepdim=*/true);
  const auto points = x * length.reciprocal().masked_fill(length.eq(0), 0);
  return at::linear(points, prototypes.flatten(0, 1))
             .unflatten(-1, {prototypes.size(0), prototypes.size(1)})
             .amax(-1) *
         factor;
}

}  // namespace

void check_of_forward(const torch::Tensor& gradient, const torch::Tensor& x,
                      const torch::Tensor& prototypes, const torch::Tensor& index,
                      const torch::Tensor& scale) {
  auto each = x.sizes().vec();
  each.back() = prototypes.size(0);
  const auto rows = x.sizes().slice(0, x.dim() - 1);
  TORCH_CHECK(gradient.sizes() == each && index.sizes() == each && scale.sizes() == rows &&
                  gradient.scalar_type() == x.scalar_type() &&
                  scale.scalar_type() == x.scalar_type() && index.scalar_type() == torch::kByte,
              "dnc: expected a gradient ", at::IntArrayRef(each), " of ", x.scalar_type(),
              ", an index of bytes like it and a scale ", rows, ", got ", gradient.sizes(), " of ",
              gradient.scalar_type(), ", ", index.sizes(), " of ", index.scalar_type(), " and ",
              scale.sizes(), " of ", scale.scalar_type());
  TORCH_CHECK(gradient.device() == x.device() && index.device() == x.device() &&
                  scale.device() == x.device(),
              "dnc: x, its gradient, index and scale must be on one device");
  if (!index.is_cpu() || index.numel() == 0) return;
  TORCH_CHECK_INDEX(index.max().item<uint8_t>() < prototypes.size(1), "dnc: an index is not below ",
                    prototypes.size(1));
}

void check_nearest(const torch::Tensor& x, const torch::Tensor& prototypes) {
  TORCH_CHECK(x.dim() >= 1 && prototypes.dim() == 3 && x.sym_size(-1) == prototypes.sym_size(2) &&
                  x.sym_size(-1) >= 1,
              "dnc: expected x [..., D] and prototypes [C, K, D] with D from 1 on, got ",
              x.sym_sizes(), " and ", prototypes.sym_sizes());
  TORCH_CHECK(
      prototypes.sym_size(0) >= 1 && prototypes.sym_size(1) >= 1 && prototypes.sym_size(1) <= 256,
      "dnc: expected 1 to 256 prototypes of at least one class, got ", prototypes.sym_sizes());
  TORCH_CHECK(x.device() == prototypes.device(), "dnc: x is on ", x.device(),
              ", the prototypes are on ", prototypes.device());
  TORCH_CHECK(x.scalar_type() == prototypes.scalar_type() && x.is_floating_point(),
              "dnc: x and the prototypes must be floats of one type, not ", x.scalar_type(),
              " and ", prototypes.scalar_type());
}

torch::Tensor flatten_rows(const torch::Tensor& x) {
  if (x.dim() == 1) return x.view({1, 1, -1});
  return x.dim() == 2 || x.is_contiguous() ? x.flatten(0, -2).unsqueeze(0) : x.flatten(1, -2);
}

std::tuple<torch::Tensor, torch::Tensor, torch::Tensor> nearest_of_classes(
    const torch::Tensor& x, const torch::Tensor& prototypes, double factor) {
  check_nearest(x, prototypes);
  const auto [scores, index, scale] =
      find_nearest(flatten_rows(x), prototypes.contiguous(), factor);
  auto sizes = x.sizes().vec();
  sizes.pop_back();
  const auto rows = scale.view(sizes);
  sizes.push_back(prototypes.size(0));
  return {scores.view(sizes), index.view(sizes), rows};
}

// d (p'x / |x|) / dx = (p - x (p'x) / |x|^2) / |x|, which is linear in p: so it is that of the one
// vector that sum_nearest() gives.
torch::Tensor nearest_of_classes_backward(const torch::Tensor& gradient, const torch::Tensor& x,
                                          const torch::Tensor& prototypes,
                                          const torch::Tensor& index, const torch::Tensor& scale,
                                          double factor) {
  check_nearest(x, prototypes);
  check_of_forward(gradient, x, prototypes, index, scale);
  const int64_t C = prototypes.size(0);
  const auto rows = flatten_rows(x);
  const auto scales = scale.flatten();
  auto result = sum_nearest(gradient.contiguous().view({-1, C}), index.contiguous().view({-1, C}),
                            prototypes.contiguous())
                    .view(rows.sizes());
  const int64_t P = rows.size(1), step = std::max<int64_t>(1, block_size(x) / rows.size(2));
  for (int64_t i = 0; i < rows.size(0) * parts(P, step); ++i) {
    const int64_t image = i / parts(P, step);
    const auto [row, count] = part(i % parts(P, step), step, P);
    const auto to = result.select(0, image).narrow(0, row, count);
    const auto from = rows.select(0, image).narrow(0, row, count);
    const auto by = scales.narrow(0, image * P + row, count).unsqueeze(1);
    const auto along = (to * from).sum(1, /*keepdim=*/true);
    to.addcmul_(from, along.mul_(by).mul_(by), -1 / (factor * factor)).mul_(by);
  }
  return result.view(x.sizes());
}

torch::Tensor nearest_cosine(const torch::Tensor& x, const torch::Tensor& prototypes,
                             double factor) {
  if (at::tracer::impl::is_dispatch_enabled()) {
    return traceable_nearest_cosine(x, prototypes, factor);
  }
  static const auto nearest = c10::Dispatcher::singleton()
                                  .findSchemaOrThrow("dnc::nearest", "")
                                  .typed<std::tuple<torch::Tensor, torch::Tensor, torch::Tensor>(
                                      const torch::Tensor&, const torch::Tensor&, double)>();
  return std::get<0>(nearest.call(x, prototypes, factor));
}

torch::Tensor own_similarities_by_operators(const torch::Tensor& points,
                                            const std::optional<torch::Tensor>& rows,
                                            const torch::Tensor& labels,
                                            const torch::Tensor& prototypes) {
  const int64_t R = labels.size(0), K = prototypes.size(1), D = prototypes.size(2);
  auto similarities = at::empty({R, K}, points.options());
  const int64_t step = std::max<int64_t>(1, block_size(points) / (K * D));
  for (int64_t i = 0; i < parts(R, step); ++i) {
    const auto [begin, count] = part(i, step, R);
    const auto label = labels.narrow(0, begin, count);
    const auto own = prototypes.index_select(0, label.clamp_min(0));  // [count, K, D]
    const auto some = rows ? points.index_select(0, rows->narrow(0, begin, count))
                           : points.narrow(0, begin, count);
    auto target = similarities.narrow(0, begin, count);
    target.copy_(at::bmm(own, some.unsqueeze(2)).squeeze(2));
    target.masked_fill_(label.lt(0).unsqueeze(1), 0);
  }
  return similarities;
}

torch::Tensor own_similarities(const torch::Tensor& points, const torch::Tensor& rows,
                               const torch::Tensor& labels, const torch::Tensor& prototypes) {
  if (!has_kernels(points)) {
    using Operator = decltype(own_similarities_by_operators);
    static const auto op = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("dnc::own_similarities", "")
                               .typed<Operator>();
    return op.call(points, rows.defined() ? std::optional(rows) : std::nullopt, labels, prototypes);
  }
  const int64_t R = labels.size(0), K = prototypes.size(1), D = prototypes.size(2);
  auto similarities = at::empty({R, K}, points.options());
  if constexpr (kernels::kAvailable) {
    const auto* label = labels.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < R; ++i) {
      TORCH_CHECK_INDEX(label[i] < prototypes.size(0), "DNC: label ", label[i], " of ",
                        prototypes.size(0), " classes");
    }
    const auto* row = rows.defined() ? rows.const_data_ptr<int64_t>() : nullptr;
    constexpr int64_t kRows = 32;
    parallel(parts(R, kRows), kRows * K * D, [&](int64_t i) {
      const auto [begin, count] = part(i, kRows, R);
      kernels::own_dots(points.const_data_ptr<float>() + (row ? 0 : begin * D),
                        row ? row + begin : nullptr, label + begin,
                        prototypes.const_data_ptr<float>(), count, K, D,
                        similarities.mutable_data_ptr<float>() + begin * K);
    });
  }
  return similarities;
}

}  // namespace dnc
