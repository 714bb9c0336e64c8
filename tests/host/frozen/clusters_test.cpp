#include "host/frozen/clusters.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace dnc {
namespace {

Random seeded(uint64_t seed) { return Random(seed, Purpose::kInit, 0, 0); }

torch::Tensor unit(const torch::Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, -1, /*keepdim=*/true);
}

/// `each` points around each direction, one after the other; [directions * each, D].
torch::Tensor points_around(const torch::Tensor& directions, int64_t each, double noise) {
  const auto points = directions.repeat_interleave(each, 0);
  return unit(points + torch::randn(points.sizes()) * noise);
}

double mean_cosine(const torch::Tensor& points, const torch::Tensor& centres) {
  return std::get<0>(points.matmul(centres.t()).max(1)).mean().item<double>();
}

TEST(ClusterDirections, OneCentreIsTheDirectionOfTheMean) {
  const auto points = unit(torch::randn({50, 8}));
  const auto found = cluster_directions(points, 1, 20, seeded(1));
  const auto mean = unit(points.to(torch::kFloat64).mean(0, /*keepdim=*/true));
  EXPECT_TRUE(torch::allclose(found.centres.to(torch::kFloat64), mean, 0, 1e-7));
}

TEST(ClusterDirections, FindsGroupsThatAreFarApart) {
  const auto directions = torch::eye(6).slice(0, 0, 4);
  const auto points = points_around(directions, 30, 0.05);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto found = cluster_directions(points, 4, 20, seeded(seed));
    const auto cosines = directions.matmul(found.centres.t());
    EXPECT_GT(std::get<0>(cosines.max(1)).min().item<double>(), 0.99) << "seed " << seed;
    EXPECT_NEAR(found.mean_cosine, mean_cosine(points, found.centres), 1e-6);
  }
}

TEST(ClusterDirections, IterationsOnlyImprove) {
  const auto points = unit(torch::randn({400, 5}));
  double before = -1;
  for (const int64_t iterations : {1, 2, 4, 8, 16}) {
    const auto found = cluster_directions(points, 6, iterations, seeded(3));
    EXPECT_GE(found.mean_cosine, before - 1e-6) << iterations;
    before = found.mean_cosine;
  }
  // In the end each centre is the direction of its own points.
  const auto end = cluster_directions(points, 6, 1000, seeded(3)).centres;
  const auto nearest = points.matmul(end.t()).argmax(1);
  for (int64_t k = 0; k < 6; ++k) {
    const auto own = points.index({nearest.eq(k)});
    ASSERT_GT(own.size(0), 0);
    EXPECT_TRUE(torch::allclose(end[k], unit(own.sum(0)), 0, 1e-5)) << k;
  }
}

TEST(ClusterDirections, DependsOnTheSeedAlone) {
  const auto points = unit(torch::randn({100, 5}));
  const auto one = cluster_directions(points, 7, 3, seeded(1)).centres;
  torch::manual_seed(99);
  EXPECT_TRUE(torch::equal(cluster_directions(points, 7, 3, seeded(1)).centres, one));
  EXPECT_FALSE(torch::equal(cluster_directions(points, 7, 3, seeded(2)).centres, one));
}

TEST(ClusterDirections, FewerPointsThanCentresGiveCentresThatArePoints) {
  const auto points = unit(torch::randn({3, 4}));
  const auto centres = cluster_directions(points, 5, 20, seeded(1)).centres;
  const auto cosines = centres.matmul(points.t());
  EXPECT_GT(std::get<0>(cosines.max(1)).min().item<double>(), 1 - 1e-6) << "each centre is a point";
  EXPECT_GT(std::get<0>(cosines.max(0)).min().item<double>(), 1 - 1e-6) << "each point is a centre";
}

TEST(ClusterDirections, EqualAndOppositePointsGiveFiniteCentres) {
  const auto same = unit(torch::ones({6, 3}));
  EXPECT_TRUE(torch::allclose(cluster_directions(same, 4, 20, seeded(1)).centres,
                              same.slice(0, 0, 4), 0, 1e-6));
  const auto opposite = torch::cat({same, -same});
  const auto one = cluster_directions(opposite, 1, 20, seeded(1)).centres;
  EXPECT_NEAR(one.norm().item<double>(), 1, 1e-6) << "their mean is zero";
}

}  // namespace
}  // namespace dnc
