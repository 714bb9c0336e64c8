#include "plugins/heads/dnc/nearest.h"

#include <ATen/TensorIterator.h>
#include <ATen/TracerMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "plugins/heads/dnc/kernels.h"

namespace dnc {
namespace {

/// Elements of the largest temporary: on a CPU what its caches hold, on a GPU what keeps it busy.
constexpr int64_t kCpuBlock = int64_t{1} << 20;
constexpr int64_t kGpuBlock = int64_t{1} << 25;

bool has_kernels(const torch::Tensor& x) {
  return kernels::kAvailable && x.is_cpu() && x.scalar_type() == torch::kFloat;
}

/// Calls body(i) for i in [0, count), each about `cost` multiplications, on LibTorch's own threads:
/// at::parallel_for, as a header, would have to be compiled with OpenMP.
void parallel(int64_t count, int64_t cost, c10::function_ref<void(int64_t)> body) {
  auto numbers = at::arange(count, torch::kLong);
  const auto run = [&](char** data, const int64_t* strides, int64_t size, int64_t size_outer) {
    for (int64_t outer = 0; outer < size_outer; ++outer) {
      const char* number = data[0] + outer * strides[1];
      for (int64_t i = 0; i < size; ++i, number += strides[0]) {
        body(*reinterpret_cast<const int64_t*>(number));
      }
    }
  };
  const int64_t grain = std::max<int64_t>(1, at::internal::GRAIN_SIZE / std::max<int64_t>(1, cost));
  at::TensorIterator::nullary_op(numbers).for_each(run, grain);
}

/// Where part `i` begins and how long it is, where `size` is cut into parts of `step`.
std::pair<int64_t, int64_t> part(int64_t i, int64_t step, int64_t size) {
  return {i * step, std::min(step, size - i * step)};
}

int64_t parts(int64_t size, int64_t step) { return (size + step - 1) / step; }

/// 1 / length of each row [R, D], 0 for a row of zeros; [R, 1].
torch::Tensor inverse_length(const torch::Tensor& x) {
  const auto length = at::linalg_vector_norm(x, 2, 1, /*keepdim=*/true);
  return length.reciprocal().masked_fill_(length.eq(0), 0);
}

/// Largest of dots [rows, classes, K] times scale [rows, 1], and where: the same block of `scores`
/// and `index`, [rows, classes] of a wider matrix.
void take_nearest(const torch::Tensor& dots, const torch::Tensor& scale, torch::Tensor scores,
                  torch::Tensor index) {
  if (!has_kernels(dots)) {
    const auto [best, place] = dots.max(2);
    at::mul_out(scores, best, scale);
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

/// nearest_cosine() of rows [R, D]: the cosines [R, C] and the nearest of each class, uint8 [R, C].
std::pair<torch::Tensor, torch::Tensor> find_nearest(const torch::Tensor& x,
                                                     const torch::Tensor& scale,
                                                     const torch::Tensor& prototypes) {
  const int64_t R = x.size(0), C = prototypes.size(0), K = prototypes.size(1);
  auto cosines = at::empty({R, C}, x.options());
  auto index = at::empty({R, C}, x.options().dtype(torch::kByte));
  // Blocks of all classes, unless that leaves too few rows for a matrix product to be fast.
  const int64_t block = x.is_cpu() ? kCpuBlock : kGpuBlock;
  const int64_t rows = std::max<int64_t>(block / (C * K), 1024);
  const int64_t classes = std::clamp<int64_t>(block / (std::min(rows, R + 1) * K), 1, C);
  auto buffer = at::empty({std::min(rows, R) * classes * K}, x.options());
  for (int64_t i = 0; i < parts(R, rows); ++i) {
    const auto [row, row_count] = part(i, rows, R);
    for (int64_t j = 0; j < parts(C, classes); ++j) {
      const auto [c, class_count] = part(j, classes, C);
      auto dots = buffer.narrow(0, 0, row_count * class_count * K).view({row_count, -1});
      at::mm_out(dots, x.narrow(0, row, row_count),
                 prototypes.narrow(0, c, class_count).flatten(0, 1).t());
      take_nearest(dots.view({row_count, class_count, K}), scale.narrow(0, row, row_count),
                   cosines.narrow(0, row, row_count).narrow(1, c, class_count),
                   index.narrow(0, row, row_count).narrow(1, c, class_count));
    }
  }
  return {cosines, index};
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
    const int64_t rows = std::max<int64_t>(1, kGpuBlock / (C * K));
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

class NearestCosine : public torch::autograd::Function<NearestCosine> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& prototypes) {
    const auto scale = inverse_length(x);
    const auto [cosines, index] = find_nearest(x, scale, prototypes);
    context->save_for_backward({x, scale, prototypes, cosines, index});
    return cosines;
  }

  // cos = x'p / |x|, so d cos / dx = (p - cos * x / |x|) / |x|.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "DNC: the head has no second derivative");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &scale = saved[1], &cosines = saved[3];
    const auto gradient = gradients[0].contiguous();
    auto result = sum_nearest(gradient, saved[4], saved[2]);
    const auto along = gradient.mul(cosines).sum(1, /*keepdim=*/true);
    result.mul_(scale).addcmul_(x, along.mul_(scale).mul_(scale), -1);
    return {result, torch::Tensor()};
  }
};

/// The same in operators that a trace can record.
torch::Tensor traceable_nearest_cosine(const torch::Tensor& x, const torch::Tensor& prototypes) {
  const auto length = at::linalg_vector_norm(x, 2, -1, /*keepdim=*/true);
  const auto points = x * length.reciprocal().masked_fill(length.eq(0), 0);
  return at::linear(points, prototypes.flatten(0, 1))
      .unflatten(-1, {prototypes.size(0), prototypes.size(1)})
      .amax(-1);
}

}  // namespace

torch::Tensor nearest_cosine(const torch::Tensor& x, const torch::Tensor& prototypes) {
  if (at::tracer::impl::is_dispatch_enabled()) return traceable_nearest_cosine(x, prototypes);
  auto sizes = x.sizes().vec();
  sizes.back() = prototypes.size(0);
  return NearestCosine::apply(x.flatten(0, -2).contiguous(), prototypes).view(sizes);
}

torch::Tensor own_similarities(const torch::Tensor& points, const torch::Tensor& rows,
                               const torch::Tensor& labels, const torch::Tensor& prototypes) {
  const int64_t R = labels.size(0), K = prototypes.size(1), D = prototypes.size(2);
  auto similarities = at::empty({R, K}, points.options());
  const auto rows_at = [&](int64_t begin, int64_t count) {
    return rows.defined() ? points.index_select(0, rows.narrow(0, begin, count))
                          : points.narrow(0, begin, count);
  };
  if (!has_kernels(points)) {
    const int64_t step = std::max<int64_t>(1, kGpuBlock / (K * D));
    for (int64_t i = 0; i < parts(R, step); ++i) {
      const auto [begin, count] = part(i, step, R);
      const auto label = labels.narrow(0, begin, count);
      const auto own = prototypes.index_select(0, label.clamp_min(0));  // [count, K, D]
      auto target = similarities.narrow(0, begin, count);
      target.copy_(at::bmm(own, rows_at(begin, count).unsqueeze(2)).squeeze(2));
      target.masked_fill_(label.lt(0).unsqueeze(1), 0);
    }
    return similarities;
  }
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
