#include "plugins/datasets/common/subset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dnc {
namespace {

using ::testing::ElementsAre;

const std::vector<int64_t> kLabels{2, 2, 0, 2, 0, 1};

TEST(SubsetTest, KeepsAllByDefault) {
  EXPECT_THAT(select(kLabels, {}), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(SubsetTest, KeepsTheFirst) { EXPECT_THAT(select(kLabels, {3, 0}), ElementsAre(0, 1, 2)); }

TEST(SubsetTest, KeepsTheFirstOfEachClass) {
  EXPECT_THAT(select(kLabels, {0, 1}), ElementsAre(0, 2, 5));
}

TEST(SubsetTest, KeepsTheFirstOfThoseOfEachClass) {
  EXPECT_THAT(select(kLabels, {2, 1}), ElementsAre(0, 2));
}

TEST(SubsetTest, MoreThanThereAreIsAll) {
  EXPECT_EQ(select(kLabels, {100, 100}).size(), kLabels.size());
}

}  // namespace
}  // namespace dnc
