#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <limits>
#include <vector>

#include "ops/nearest.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

struct Shape {
  int64_t N, D, C, K;
};

/// With tails of every loop, one and many blocks, and as many sub-centroids as a byte can number.
const std::vector<Shape> kShapes = {{1, 2, 1, 1},    {5, 70, 7, 3},      {300, 64, 10, 4},
                                    {33, 129, 3, 9}, {1500, 20, 200, 4}, {260, 100, 5, 256},
                                    {40, 65, 2, 1},  {2, 8, 3000, 2},    {70, 300, 37, 5},
                                    {97, 10, 16, 1}, {130, 2100, 90, 8}};

torch::Tensor unit_prototypes(const Shape& shape, torch::Dtype dtype) {
  const auto p = at::randn({shape.C, shape.K, shape.D}, torch::kDouble);
  return (p / p.norm(2, -1, true)).to(dtype);
}

torch::Tensor plain(const torch::Tensor& x, const torch::Tensor& prototypes) {
  const auto u = x / x.norm(2, 1, true);
  return at::einsum("nd,ckd->nck", {u, prototypes}).amax(2);
}

// Tolerance 1e-5 of the largest value, against float64.
TEST(NearestCosine, MatchesPlainOperatorsInBothPrecisions) {
  for (const auto& shape : kShapes) {
    torch::manual_seed(shape.N);
    const auto x = at::randn({shape.N, shape.D}, torch::kDouble).requires_grad_();
    const auto prototypes = unit_prototypes(shape, torch::kDouble);
    const auto weights = at::randn({shape.N, shape.C}, torch::kDouble);
    const auto expected = plain(x, prototypes);
    const auto gradient = torch::autograd::grad({(expected * weights).sum()}, {x})[0];
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      const auto input = x.detach().to(dtype).requires_grad_();
      const auto cosines = nearest_cosine(input, prototypes.to(dtype));
      EXPECT_TRUE(is_close(cosines, expected, 1e-5)) << shape.N << " rows";
      (cosines * weights.to(dtype)).sum().backward();
      EXPECT_TRUE(is_close(input.grad(), gradient, 1e-5)) << shape.N << " rows";
    }
  }
}

TEST(NearestCosine, ARowOfZerosHasNoDirectionAndNoGradient) {
  const auto x = at::zeros({2, 8}).requires_grad_();
  const auto cosines = nearest_cosine(x, unit_prototypes({0, 8, 3, 4}, torch::kFloat));
  EXPECT_TRUE(torch::equal(cosines, at::zeros({2, 3})));
  cosines.sum().backward();
  EXPECT_TRUE(torch::equal(x.grad(), at::zeros({2, 8})));
}

TEST(NearestCosine, KeepsNaN) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    auto x = at::ones({2, 8}, dtype);
    x[1][5] = std::numeric_limits<double>::quiet_NaN();
    const auto cosines = nearest_cosine(x, unit_prototypes({0, 8, 3, 4}, dtype));
    EXPECT_TRUE(cosines[0].isfinite().all().item<bool>());
    EXPECT_TRUE(cosines[1].isnan().all().item<bool>());
  }
}

TEST(NearestCosine, WorksOnAnyNumberOfLeadingDimensionsAndInInference) {
  const auto prototypes = unit_prototypes({0, 8, 3, 4}, torch::kFloat);
  const auto x = at::randn({2, 5, 6, 8});
  const auto rows = nearest_cosine(x.reshape({-1, 8}), prototypes);
  EXPECT_TRUE(torch::equal(nearest_cosine(x, prototypes).reshape({-1, 3}), rows));
  const c10::InferenceMode inference;
  EXPECT_TRUE(torch::equal(nearest_cosine(x, prototypes).reshape({-1, 3}), rows));
}

// The pixels of a map behind each other, as convolutions give them, and rows behind each other.
TEST(NearestCosine, GivesTheSameInAnyLayoutAndTimesAnyFactor) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const auto prototypes = unit_prototypes({0, 12, 30, 4}, dtype);
    const auto maps = at::randn({3, 12, 11, 13}, dtype);
    const auto rows = maps.movedim(1, -1).contiguous().requires_grad_();
    const auto pixels = maps.clone().requires_grad_();
    const auto expected = nearest_cosine(rows, prototypes) * 2.5;
    const auto got = nearest_cosine(pixels.movedim(1, -1), prototypes, 2.5);
    EXPECT_TRUE(is_close(got, expected, 1e-6));
    const auto weights = at::randn(expected.sizes(), dtype);
    (expected * weights).sum().backward();
    (got * weights).sum().backward();
    EXPECT_TRUE(is_close(pixels.grad().movedim(1, -1), rows.grad(), 1e-5));
  }
}

TEST(NearestCosine, RefusesASecondDerivative) {
  const auto x = at::randn({2, 8}).requires_grad_();
  const auto sum = nearest_cosine(x, unit_prototypes({0, 8, 3, 4}, torch::kFloat)).sum();
  const auto gradient =
      torch::autograd::grad({sum}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  EXPECT_THROW(gradient.sum().backward(), c10::Error);
}

TEST(OwnSimilarities, MatchesPlainOperatorsInBothPrecisions) {
  for (const auto& shape : kShapes) {
    torch::manual_seed(shape.N + 1);
    const auto points = at::randn({shape.N, shape.D}, torch::kDouble);
    const auto prototypes = unit_prototypes(shape, torch::kDouble);
    const auto labels = at::randint(-1, shape.C, {2 * shape.N}, torch::kLong);
    const auto rows = at::randint(shape.N, {2 * shape.N}, torch::kLong);
    const auto all = at::einsum("nd,ckd->nck", {points.index_select(0, rows), prototypes});
    const auto index = labels.clamp_min(0).view({-1, 1, 1}).expand({-1, 1, shape.K});
    const auto expected = all.gather(1, index).squeeze(1) * labels.ge(0).unsqueeze(1);
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      const auto got = own_similarities(points.to(dtype), rows, labels, prototypes.to(dtype));
      EXPECT_TRUE(is_close(got + 1, expected + 1, 1e-5)) << shape.N << " rows";
      const auto gathered = points.to(dtype).index_select(0, rows);
      const auto direct = own_similarities(gathered, {}, labels, prototypes.to(dtype));
      EXPECT_TRUE(torch::equal(direct, got));
    }
  }
}

}  // namespace
}  // namespace dnc
