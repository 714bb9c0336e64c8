#include "host/explain/principal_axes.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace dnc {
namespace {

TEST(PrincipalAxes, AreTheEigenvectorsOfTheCovariance) {
  const auto points =
      torch::randn({200, 6}, torch::kFloat64).matmul(torch::randn({6, 6}).to(torch::kFloat64)) + 3;
  const auto found = principal_axes(points);
  const auto centred = points - points.mean(0);
  const auto [values, vectors] = at::linalg_eigh(centred.t().matmul(centred));
  for (int64_t i = 0; i < 2; ++i) {
    const auto expected = vectors.select(1, 5 - i);
    EXPECT_NEAR(std::abs(expected.dot(found.axes[i]).item<double>()), 1, 1e-9);
    EXPECT_NEAR(found.shares.at(static_cast<size_t>(i)),
                (values[5 - i] / values.sum()).item<double>(), 1e-9);
    EXPECT_GT(found.axes[i][found.axes[i].abs().argmax().item<int64_t>()].item<double>(), 0);
  }
  const auto plane = found.project(points);
  EXPECT_LT(plane.mean(0).abs().max().item<double>(), 1e-9);
  EXPECT_LT(std::abs(plane.select(1, 0).dot(plane.select(1, 1)).item<double>()), 1e-6);
}

TEST(PrincipalAxes, OfPointsOnALineHaveOneDirection) {
  const auto along = torch::linspace(-1, 1, 9).unsqueeze(1);
  const auto found = principal_axes(along.matmul(torch::tensor({{0.0, 3.0, 4.0}})));
  EXPECT_NEAR(found.shares[0], 1, 1e-9);
  EXPECT_EQ(found.shares[1], 0);
  EXPECT_NEAR(found.axes[0][2].item<double>(), 0.8, 1e-6);
  EXPECT_EQ(found.axes[1].abs().sum().item<double>(), 0);
}

TEST(PrincipalAxes, OfOnePointOrOneDimensionAreFinite) {
  for (const auto& points : {torch::ones({1, 4}), torch::ones({5, 4}), torch::rand({7, 1})}) {
    const auto found = principal_axes(points);
    const auto plane = found.project(points);
    EXPECT_EQ(plane.size(1), 2);
    EXPECT_TRUE(plane.isfinite().all().item<bool>());
  }
}

}  // namespace
}  // namespace dnc
