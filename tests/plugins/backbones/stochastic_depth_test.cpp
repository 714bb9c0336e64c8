#include "plugins/backbones/common/stochastic_depth.h"

#include <gtest/gtest.h>

namespace dnc {
namespace {

TEST(StochasticDepth, DropsWholeSamplesAndKeepsTheMean) {
  torch::manual_seed(1);
  const auto branch = torch::ones({4000, 2, 3});
  const auto out = stochastic_depth(branch, 0.25, /*training=*/true);
  const auto first = out.select(1, 0).select(1, 0);
  EXPECT_TRUE(torch::equal(out, first.view({-1, 1, 1}).expand_as(out)));
  const auto kept = first != 0;
  EXPECT_TRUE(torch::allclose(first.masked_select(kept), torch::tensor(4.0f / 3)));
  EXPECT_NEAR(kept.to(torch::kFloat32).mean().item<double>(), 0.75, 0.03);
}

TEST(StochasticDepth, LeavesTheBranchInEvaluationAndAtRateZero) {
  const auto branch = torch::rand({8, 2});
  EXPECT_TRUE(torch::equal(stochastic_depth(branch, 0.9, /*training=*/false), branch));
  EXPECT_TRUE(torch::equal(stochastic_depth(branch, 0, /*training=*/true), branch));
}

TEST(StochasticDepth, RisesInEqualStepsFromZero) {
  EXPECT_EQ(stochastic_depth_rate(0, 5, 0.2), 0);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(2, 5, 0.2), 0.1);
  EXPECT_DOUBLE_EQ(stochastic_depth_rate(4, 5, 0.2), 0.2);
  EXPECT_EQ(stochastic_depth_rate(0, 1, 0.2), 0);
}

}  // namespace
}  // namespace dnc
