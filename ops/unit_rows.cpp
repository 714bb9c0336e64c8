#include "ops/unit_rows.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include <tuple>

#include "ops/blocks.h"
#include "ops/cpu/kernels.h"

namespace dnc {
namespace {

/// Points [R, D] and their scale, 1 / |x| or 0, [R].
using Points = std::tuple<torch::Tensor, torch::Tensor>;

/// Calls body(rows, first, count) for blocks of the rows of x [N, P, D]; `first` counts through
/// all.
void for_rows(const torch::Tensor& x,
              c10::function_ref<void(kernels::Rows, int64_t, int64_t)> body) {
  constexpr int64_t kRows = 128;
  const int64_t P = x.size(1);
  const auto* const data = x.const_data_ptr<float>();
  parallel(x.size(0) * parts(P, kRows), kRows * x.size(2), [&](int64_t i) {
    const int64_t image = i / parts(P, kRows);
    const auto [row, count] = part(i % parts(P, kRows), kRows, P);
    const auto* const begin = data + image * x.stride(0) + row * x.stride(1);
    body({begin, x.stride(1), x.stride(2)}, image * P + row, count);
  });
}

Points by_kernel(const torch::Tensor& x, const torch::Tensor& labels) {
  const int64_t D = x.size(2);
  auto points = at::empty({labels.size(0), D}, x.options());
  auto scale = at::empty({labels.size(0)}, x.options());
  if constexpr (kernels::kAvailable) {
    const auto* const label = labels.const_data_ptr<int64_t>();
    auto* const to = points.mutable_data_ptr<float>();
    auto* const by = scale.mutable_data_ptr<float>();
    for_rows(x, [&](kernels::Rows rows, int64_t first, int64_t count) {
      kernels::unit_rows(rows, label + first, count, D, to + first * D, by + first);
    });
  }
  return {points, scale};
}

Points by_operator(const torch::Tensor& x, const torch::Tensor& labels) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("dnc::unit_rows", "")
                             .typed<Points(const torch::Tensor&, const torch::Tensor&)>();
  return op.call(x, labels);
}

class UnitRows : public torch::autograd::Function<UnitRows> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& labels) {
    const auto [points, scale] = has_kernels(x) ? by_kernel(x, labels) : by_operator(x, labels);
    context->save_for_backward({points, scale});
    context->saved_data["sizes"] = x.sizes().vec();
    return points;
  }

  // With p = x / |x|: dp / dx = (1 - p p') / |x|.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "DNC: the head has no second derivative");
    const auto saved = context->get_saved_variables();
    const auto &points = saved[0], &scale = saved[1];
    auto result = at::empty_like(points);
    const int64_t step = std::max<int64_t>(1, block_size(points) / points.size(1));
    for (int64_t i = 0; i < parts(points.size(0), step); ++i) {
      const auto [row, count] = part(i, step, points.size(0));
      const auto point = points.narrow(0, row, count),
                 gradient = gradients[0].narrow(0, row, count);
      const auto along = (point * gradient).sum(1, /*keepdim=*/true);
      auto to = result.narrow(0, row, count);
      at::addcmul_out(to, gradient, point, along, -1);
      to.mul_(scale.narrow(0, row, count).unsqueeze(1));
    }
    return {result.view(context->saved_data["sizes"].toIntVector()), torch::Tensor()};
  }
};

}  // namespace

std::tuple<torch::Tensor, torch::Tensor> unit_rows_by_operators(const torch::Tensor& x,
                                                                const torch::Tensor& labels) {
  const auto length = at::linalg_vector_norm(x, 2, 2).flatten();
  const auto out = labels.lt(0).logical_or_(length.eq(0));
  auto points = at::empty({labels.size(0), x.size(2)}, x.options());
  points.view(x.sizes()).copy_(x);
  const auto scale = length.reciprocal_().masked_fill_(out, 0);
  points.mul_(scale.unsqueeze(1)).masked_fill_(out.unsqueeze(1), 0);  // also NaN times 0
  return {points, scale};
}

torch::Tensor finite_rows(const torch::Tensor& x) {
  if (!has_kernels(x)) {
    const auto type = at::promote_types(x.scalar_type(), torch::kFloat);  // half would overflow
    return at::linalg_vector_norm(x, 2, 2, /*keepdim=*/false, type).flatten().isfinite();
  }
  auto squares = at::empty({x.size(0) * x.size(1)}, x.options());
  if constexpr (kernels::kAvailable) {
    auto* const to = squares.mutable_data_ptr<float>();
    for_rows(x, [&](kernels::Rows rows, int64_t first, int64_t count) {
      kernels::square_lengths(rows, count, x.size(2), to + first);
    });
  }
  return squares.isfinite();
}

torch::Tensor unit_rows(const torch::Tensor& x, const torch::Tensor& labels) {
  return UnitRows::apply(x, labels);
}

}  // namespace dnc
