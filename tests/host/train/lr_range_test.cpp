#include "host/train/lr_range.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "registry/error.h"

namespace dnc {
namespace {

// Goes through a range with the losses that a function gives for its lr.
template <typename Loss>
LrRange run(const LrRange::Options& options, const Loss& loss) {
  LrRange range(options);
  int64_t step = 0;
  while (range.add(loss(range.lr(step)))) ++step;
  return range;
}

TEST(LrRange, GrowsByTheSameFactorFromFirstToLast) {
  const LrRange range({.from = 1e-4, .to = 1, .steps = 41});
  EXPECT_NEAR(range.lr(0), 1e-4, 1e-16);
  EXPECT_NEAR(range.lr(40), 1, 1e-12);
  for (int64_t i = 1; i < 41; ++i)
    EXPECT_NEAR(range.lr(i) / range.lr(i - 1), std::pow(10, 0.1), 1e-9);
}

TEST(LrRange, SmoothedLossOfAConstantIsTheConstant) {
  const auto range = run({.steps = 20}, [](double) { return 2.5; });
  ASSERT_EQ(range.points().size(), 20u);
  for (const auto& point : range.points()) EXPECT_NEAR(point.smoothed, 2.5, 1e-12);
  EXPECT_FALSE(range.steepest()) << "it does not fall";
}

TEST(LrRange, SmoothedLossIsTheCorrectedMovingAverage) {
  LrRange range({.steps = 10, .smoothing = 0.5});
  range.add(4);
  range.add(1);
  EXPECT_NEAR(range.points()[1].smoothed, (0.5 * 0.5 * 4 + 0.5 * 1) / 0.75, 1e-12);
}

TEST(LrRange, StopsWhereTheLossIsFourTimesTheLowest) {
  const auto range = run({.from = 1e-3, .to = 10, .steps = 100, .smoothing = 0},
                         [](double lr) { return lr < 0.1 ? 1.0 : 5.0; });
  EXPECT_TRUE(range.diverged());
  EXPECT_EQ(range.points().back().loss, 5);
  EXPECT_LT(range.points().size(), 60u);
}

TEST(LrRange, StopsWhereTheLossIsNotFinite) {
  LrRange range({.steps = 10});
  EXPECT_TRUE(range.add(1));
  EXPECT_FALSE(range.add(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(range.diverged());
  EXPECT_EQ(range.points().size(), 1u);
}

TEST(LrRange, EndsAfterItsSteps) {
  const auto range = run({.steps = 10}, [](double) { return 1.0; });
  EXPECT_EQ(range.points().size(), 10u);
  EXPECT_FALSE(range.diverged());
}

// A loss that falls fastest at 0.01 and is lowest at 1.
TEST(LrRange, SuggestsTheSteepestDescentAndATenthOfTheMinimum) {
  const auto loss = [](double lr) {
    const double x = std::log10(lr);
    return 2 - std::tanh(2 * (x + 2)) + (x > 0 ? x * x : 0);
  };
  const auto range = run({.from = 1e-5, .to = 10, .steps = 601, .smoothing = 0}, loss);
  ASSERT_TRUE(range.steepest());
  EXPECT_NEAR(std::log10(*range.steepest()), -2, 0.02);
  ASSERT_TRUE(range.tenth_of_minimum());
  EXPECT_NEAR(std::log10(*range.tenth_of_minimum()), -1, 0.1);
}

TEST(LrRange, RangesThatCannotBeAreErrors) {
  EXPECT_THROW(LrRange({.from = 0, .to = 1}), Error);
  EXPECT_THROW(LrRange({.from = 1, .to = 1}), Error);
  EXPECT_THROW(LrRange({.from = -1, .to = 1}), Error);
  EXPECT_THROW(LrRange({.to = std::numeric_limits<double>::infinity()}), Error);
  EXPECT_THROW(LrRange({.from = std::numeric_limits<double>::quiet_NaN()}), Error);
  EXPECT_THROW(LrRange({.steps = 9}), Error);
}

}  // namespace
}  // namespace dnc
