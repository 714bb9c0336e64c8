#include "host/data/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace dnc {
namespace {

using ::testing::ElementsAre;

Sampler sampler(int64_t size, int64_t batch_size, bool drop_last = false) {
  Sampler sampler;
  sampler.size = size;
  sampler.batch_size = batch_size;
  sampler.drop_last = drop_last;
  return sampler;
}

TEST(SamplerTest, WithoutShuffleTheOrderIsTheDataSets) {
  EXPECT_THAT(sampler(5, 2).order(3), ElementsAre(0, 1, 2, 3, 4));
}

TEST(SamplerTest, ShuffledOrderHasEachSampleOnce) {
  auto shuffled = sampler(1000, 10);
  shuffled.shuffle = true;
  auto order = shuffled.order(0);
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_NE(order, all);
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, all);
}

TEST(SamplerTest, OrderDependsOnSeedAndEpochAlone) {
  auto a = sampler(100, 10);
  a.shuffle = true;
  a.seed = 7;
  auto b = a;
  b.batch_size = 20;
  b.ranks = 4;
  b.rank = 3;
  b.drop_last = true;
  EXPECT_EQ(a.order(2), b.order(2));
  EXPECT_NE(a.order(2), a.order(3));
  b.seed = 8;
  EXPECT_NE(a.order(2), b.order(2));
}

// A change of the generator or of the shuffle would change every run that is resumed.
TEST(SamplerTest, OrderStaysWhatItWas) {
  auto shuffled = sampler(10, 1);
  shuffled.shuffle = true;
  shuffled.seed = 42;
  EXPECT_THAT(shuffled.order(0), ElementsAre(8, 9, 6, 7, 3, 5, 1, 4, 2, 0));
  EXPECT_THAT(shuffled.order(1), ElementsAre(4, 6, 7, 5, 3, 1, 2, 9, 8, 0));
}

// Chi-square over all 24 orders of 4 samples; 23 degrees of freedom, 99.99 % below 58.6.
TEST(SamplerTest, AllOrdersAreEquallyLikely) {
  auto shuffled = sampler(4, 1);
  shuffled.shuffle = true;
  std::vector<int64_t> counts(256);
  constexpr int64_t kEpochs = 24000;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const auto order = shuffled.order(epoch);
    ++counts[static_cast<size_t>(order[0] + 4 * order[1] + 16 * order[2] + 64 * order[3])];
  }
  double chi_square = 0;
  int64_t seen = 0;
  for (const int64_t count : counts) {
    if (count == 0) continue;
    ++seen;
    chi_square += std::pow(static_cast<double>(count) - 1000, 2) / 1000;
  }
  EXPECT_EQ(seen, 24);
  EXPECT_LT(chi_square, 58.6);
}

TEST(SamplerTest, LastBatchIsShortOrLeftOut) {
  EXPECT_EQ(sampler(10, 4).batches(), 3);
  EXPECT_EQ(sampler(10, 4).slice(2), (Slice{8, 10}));
  EXPECT_EQ(sampler(10, 4, true).batches(), 2);
  EXPECT_EQ(sampler(8, 4).batches(), 2);
  EXPECT_EQ(sampler(8, 4, true).batches(), 2);
}

TEST(SamplerTest, RanksShareEachBatchInOrder) {
  for (const int64_t ranks : {1, 2, 3, 6}) {
    for (int64_t batch = 0; batch < 5; ++batch) {
      int64_t position = batch * 6;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        auto part = sampler(30, 6);
        part.ranks = ranks;
        part.rank = rank;
        EXPECT_EQ(part.slice(batch), (Slice{position, position + 6 / ranks}));
        position += 6 / ranks;
      }
    }
  }
}

TEST(SamplerTest, ShortLastBatchIsSharedWithoutGaps) {
  int64_t position = 12;
  for (int64_t rank = 0; rank < 4; ++rank) {
    auto part = sampler(15, 12);
    part.ranks = 4;
    part.rank = rank;
    EXPECT_EQ(part.batches(), 2);
    EXPECT_EQ(part.slice(1).first, position);
    EXPECT_LE(part.slice(1).size(), 1);
    position = part.slice(1).last;
  }
  EXPECT_EQ(position, 15);
}

}  // namespace
}  // namespace dnc
