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

// ---- Shards ----

// 20 shards of 50 samples.
Sampler sharded(int64_t shuffle_buffer) {
  auto sharded = sampler(1000, 10);
  sharded.shuffle = true;
  sharded.shards.assign(20, 50);
  sharded.shuffle_buffer = shuffle_buffer;
  return sharded;
}

// The first sample of each shard in the order in which the shards begin.
std::vector<int64_t> shard_turns(const std::vector<int64_t>& order) {
  std::vector<int64_t> turns;
  for (const int64_t sample : order) {
    const int64_t shard = sample / 50;
    if (std::find(turns.begin(), turns.end(), shard) == turns.end()) turns.push_back(shard);
  }
  return turns;
}

TEST(SamplerTest, WithoutABufferShardsAreReadWhole) {
  const auto order = sharded(1).order(0);
  const auto turns = shard_turns(order);
  EXPECT_EQ(turns.size(), 20u);
  EXPECT_FALSE(std::is_sorted(turns.begin(), turns.end()));
  for (size_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(order[i], turns[i / 50] * 50 + static_cast<int64_t>(i % 50));
  }
  EXPECT_NE(shard_turns(sharded(1).order(1)), turns);
}

TEST(SamplerTest, ShardedOrderHasEachSampleOnce) {
  std::vector<int64_t> all(1000);
  std::iota(all.begin(), all.end(), 0);
  for (const int64_t buffer : {1, 7, 200, 1000, 100000}) {
    auto order = sharded(buffer).order(3);
    EXPECT_NE(order, all);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, all) << buffer;
  }
}

TEST(SamplerTest, BufferBringsNoSampleForwardByMoreThanItsSize) {
  const auto row = sharded(1).order(5);  // the same shards in the same turns, not mixed
  const auto mixed = sharded(100).order(5);
  std::vector<int64_t> place(1000);
  for (size_t i = 0; i < 1000; ++i) place[static_cast<size_t>(row[i])] = static_cast<int64_t>(i);
  int64_t forward = 0;
  int64_t late = 0;  // by more than three buffers: one in e^4 of those, 18 of 1000
  for (size_t i = 0; i < 1000; ++i) {
    const auto moved = place[static_cast<size_t>(mixed[i])] - static_cast<int64_t>(i);
    EXPECT_LE(moved, 100);
    forward += moved > 0;
    late += moved < -300;
  }
  EXPECT_GT(forward, 400);
  EXPECT_LT(late, 40);
}

// Each sample is as likely at each position: chi-square of the first position over 12 samples; 11
// degrees of freedom, 99.99 % below 37.4.
TEST(SamplerTest, BufferOfAllSamplesShufflesLikeNoShards) {
  auto small = sampler(12, 1);
  small.shuffle = true;
  small.shards = {5, 0, 4, 3};
  small.shuffle_buffer = 12;
  std::vector<double> counts(12);
  for (int64_t epoch = 0; epoch < 12000; ++epoch) {
    ++counts[static_cast<size_t>(small.order(epoch).front())];
  }
  double chi_square = 0;
  for (const double count : counts) chi_square += std::pow(count - 1000, 2) / 1000;
  EXPECT_LT(chi_square, 37.4);
}

TEST(SamplerTest, ShardedOrderDependsOnSeedAndEpochAlone) {
  auto a = sharded(100);
  auto b = a;
  b.batch_size = 40;
  b.ranks = 4;
  b.rank = 2;
  EXPECT_EQ(a.order(2), b.order(2));
  EXPECT_NE(a.order(2), a.order(3));
  b.seed = 8;
  EXPECT_NE(a.order(2), b.order(2));
}

TEST(SamplerTest, WithoutShuffleShardsDoNotMatter) {
  auto plain = sharded(100);
  plain.shuffle = false;
  EXPECT_EQ(plain.order(4), sampler(1000, 10).order(4));
}

// ---- Repeats ----

TEST(SamplerTest, RepeatsComeInARowAndTheEpochStaysAsLong) {
  auto repeated = sampler(7, 2);
  repeated.repeats = 3;
  const auto order = repeated.order(0);
  EXPECT_THAT(order, ElementsAre(0, 0, 0, 1, 1, 1, 2));
  std::vector<int64_t> repeats;
  for (int64_t i = 0; i < 7; ++i) repeats.push_back(repeated.repeat(i));
  EXPECT_THAT(repeats, ElementsAre(0, 1, 2, 0, 1, 2, 0));
  EXPECT_EQ(repeated.batches(), 4);
}

TEST(SamplerTest, RepeatedOrderIsTheBeginningOfTheShuffledOne) {
  for (const bool in_shards : {false, true}) {
    auto once = sharded(50);
    if (!in_shards) once.shards.clear();
    auto repeated = once;
    repeated.repeats = 3;
    const auto order = once.order(2);
    const auto several = repeated.order(2);
    ASSERT_EQ(several.size(), 1000u);
    for (size_t i = 0; i < 1000; ++i) EXPECT_EQ(several[i], order[i / 3]);
  }
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
