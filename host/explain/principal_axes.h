#pragma once

#include <torch/types.h>

#include <array>

namespace dnc {

/// The plane in which points vary most (principal component analysis), for a picture of them.
struct PrincipalAxes {
  torch::Tensor mean;  // float64 [D]
  torch::Tensor axes;  // float64 [2, D], of length 1; the first has the larger variance.
                       // Zero where the points vary in fewer directions
  std::array<double, 2> shares{};  // of the variance, each in [0, 1]

  /// Points [n, D] on the plane, float64 [n, 2].
  torch::Tensor project(const torch::Tensor& points) const;
};

/// Of points [n, D], n >= 1, by the singular value decomposition of their differences to the mean.
/// The largest component of each axis is positive, so that a picture looks the same each time.
PrincipalAxes principal_axes(const torch::Tensor& points);

}  // namespace dnc
