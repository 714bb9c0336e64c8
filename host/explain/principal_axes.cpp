#include "host/explain/principal_axes.h"

#include <torch/torch.h>

#include <algorithm>

namespace dnc {

torch::Tensor PrincipalAxes::project(const torch::Tensor& points) const {
  return (points.to(torch::kCPU, torch::kFloat64) - mean).matmul(axes.t());
}

PrincipalAxes principal_axes(const torch::Tensor& points) {
  const auto values = points.to(torch::kCPU, torch::kFloat64);
  PrincipalAxes found;
  found.mean = values.mean(0);
  found.axes = torch::zeros({2, values.size(1)}, torch::kFloat64);
  const auto [left, sizes, right] = at::linalg_svd(values - found.mean, /*full_matrices=*/false);
  const double whole = sizes.square().sum().item<double>();
  for (int64_t i = 0; i < std::min<int64_t>(2, sizes.size(0)); ++i) {
    const double size = sizes[i].item<double>();
    if (!(size * size > 1e-20 * whole) || whole == 0) continue;
    const auto axis = right[i];
    const auto largest = axis[axis.abs().argmax().item<int64_t>()].item<double>();
    found.axes[i].copy_(largest < 0 ? -axis : axis);
    found.shares.at(static_cast<size_t>(i)) = size * size / whole;
  }
  return found;
}

}  // namespace dnc
