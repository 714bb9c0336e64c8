#include "host/report/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dnc::report {
namespace {

TEST(Statistics, SpreadIsTheMeanAndTheSampleStandardDeviation) {
  const auto result = spread({1, 2, 3, 4});
  EXPECT_EQ(result.count, 4);
  EXPECT_DOUBLE_EQ(result.mean, 2.5);
  // Squares 2.25 + 0.25 + 0.25 + 2.25 = 5, over n - 1 = 3.
  EXPECT_DOUBLE_EQ(result.deviation, std::sqrt(5.0 / 3.0));
}

TEST(Statistics, OneValueHasNoSpreadAndNoneHasNoMean) {
  const auto one = spread({0.9});
  EXPECT_EQ(one.count, 1);
  EXPECT_DOUBLE_EQ(one.mean, 0.9);
  EXPECT_TRUE(std::isnan(one.deviation));
  const auto none = spread({});
  EXPECT_EQ(none.count, 0);
  EXPECT_TRUE(std::isnan(none.mean));
  EXPECT_TRUE(std::isnan(none.deviation));
}

TEST(Statistics, SpreadOfNearlyEqualLargeValuesKeepsItsDigits) {
  EXPECT_NEAR(spread({1e9 + 1, 1e9 + 2, 1e9 + 3}).deviation, 1, 1e-6);
}

TEST(Statistics, MedianIsTheMiddle) {
  EXPECT_DOUBLE_EQ(median({5, 1, 3}), 3);
  EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_TRUE(std::isnan(median({})));
  EXPECT_TRUE(std::isnan(median({1, std::numeric_limits<double>::quiet_NaN(), 2})));
}

TEST(Statistics, PairedDifferenceTakesTheSeedsThatBothHave) {
  // Differences of seeds 0, 1, 2: 1, 2, 3. Seeds 7 and 8 have no partner.
  const auto result =
      paired_difference({{0, 10}, {1, 20}, {2, 30}, {7, 99}}, {{0, 11}, {1, 22}, {2, 33}, {8, -5}});
  EXPECT_EQ(result.pairs, 3);
  EXPECT_DOUBLE_EQ(result.mean, 2);
  EXPECT_DOUBLE_EQ(result.deviation, 1);
  // The 0.975 quantile of t with 2 degrees of freedom is 4.30265 in any table.
  EXPECT_NEAR(result.low, 2 - 4.302653 / std::sqrt(3.0), 1e-6);
  EXPECT_NEAR(result.high, 2 + 4.302653 / std::sqrt(3.0), 1e-6);
}

TEST(Statistics, IntervalUsesTheDegreesOfFreedomOfThePairs) {
  const auto two = paired_difference({{0, 0}, {1, 0}}, {{0, 1}, {1, 3}});
  EXPECT_EQ(two.pairs, 2);
  // Deviation sqrt(2), so the half width is t = 12.7062 with 1 degree of freedom.
  EXPECT_NEAR(two.high - two.mean, 12.706205, 1e-5);
  const auto five = paired_difference({{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}},
                                      {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}});
  // Deviation sqrt(2.5) and sqrt(5) pairs; t = 2.776445 with 4 degrees of freedom.
  EXPECT_NEAR(five.high - five.mean, 2.776445 * std::sqrt(0.5), 1e-6);
}

TEST(Statistics, EqualDifferencesHaveAnIntervalOfNoWidth) {
  const auto result = paired_difference({{0, 1}, {1, 2}}, {{0, 1.5}, {1, 2.5}});
  EXPECT_DOUBLE_EQ(result.low, 0.5);
  EXPECT_DOUBLE_EQ(result.high, 0.5);
}

TEST(Statistics, OnePairHasNoIntervalAndNoPairNoMean) {
  const auto one = paired_difference({{3, 0.5}}, {{3, 0.75}});
  EXPECT_EQ(one.pairs, 1);
  EXPECT_DOUBLE_EQ(one.mean, 0.25);
  EXPECT_TRUE(std::isnan(one.low));
  EXPECT_TRUE(std::isnan(one.high));
  const auto none = paired_difference({{0, 1}}, {{1, 1}});
  EXPECT_EQ(none.pairs, 0);
  EXPECT_TRUE(std::isnan(none.mean));
}

}  // namespace
}  // namespace dnc::report
