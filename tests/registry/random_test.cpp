#include "registry/random.h"

#include <ATen/core/PhiloxRNGEngine.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace dnc {
namespace {

constexpr int kDraws = 200'000;

// LibTorch's Philox4x32-10, with counter and key as in the tables of Random123.
std::vector<uint32_t> peer(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key,
                           size_t count) {
  const auto wide = [](uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; };
  at::Philox4_32 engine(wide(key[0], key[1]), wide(counter[2], counter[3]),
                        wide(counter[0], counter[1]));
  std::vector<uint32_t> numbers(count);
  for (auto& number : numbers) number = engine();
  return numbers;
}

std::vector<uint32_t> first(Random random, size_t count) {
  std::vector<uint32_t> numbers(count);
  for (auto& number : numbers) number = random();
  return numbers;
}

// kat_vectors of Random123 (Salmon et al.), philox4x32 with 10 rounds.
TEST(Random, ItsPeerGivesThePublishedVectorsOfPhilox) {
  EXPECT_EQ(peer({0, 0, 0, 0}, {0, 0}, 4),
            (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(peer({ones, ones, ones, ones}, {ones, ones}, 4),
            (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(peer({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, 4),
            (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, IsPhiloxKeyedByTheSeedWithPurposeEpochAndIndexAsItsCounter) {
  // The purpose is in the top bits of the epoch's word.
  EXPECT_EQ(first(Random(0, Purpose::kShuffle, 1u << 24, 0), 4),
            (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  for (const auto purpose :
       {Purpose::kShuffle, Purpose::kAugment, Purpose::kInit, Purpose::kSample}) {
    const uint32_t second = 77 | static_cast<uint32_t>(purpose) << 24;
    EXPECT_EQ(first(Random(0x0123456789abcdef, purpose, 77, 0xfedcba9876543210), 40),
              peer({0, second, 0x76543210, 0xfedcba98}, {0x89abcdef, 0x01234567}, 40));
  }
}

TEST(Random, EachArgumentMakesAnotherStream) {
  std::set<std::vector<uint32_t>> streams;
  for (const uint64_t seed : {0, 1}) {
    for (const auto purpose :
         {Purpose::kShuffle, Purpose::kAugment, Purpose::kInit, Purpose::kSample}) {
      for (const uint64_t epoch : {0, 1, 255}) {
        for (const uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
          streams.insert(first(Random(seed, purpose, epoch, index), 4));
        }
      }
    }
  }
  EXPECT_EQ(streams.size(), 2u * 4 * 3 * 3);
}

TEST(Random, StreamsOfNeighboursAreNotCorrelated) {
  // For independent numbers the correlation of n pairs has a deviation of 1 / sqrt(n); 5 of them.
  const auto correlation = [](auto&& a, auto&& b) {
    double sum = 0;
    for (int i = 0; i < kDraws; ++i) sum += (a(i) - 0.5) * (b(i) - 0.5) * 12;
    return sum / kDraws;
  };
  const auto of = [](uint64_t seed, Purpose purpose, uint64_t epoch) {
    return [=](int i) { return Random(seed, purpose, epoch, static_cast<uint64_t>(i)).uniform(); };
  };
  const auto base = of(1, Purpose::kAugment, 3);
  const double bound = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(correlation(base, of(2, Purpose::kAugment, 3)), 0, bound);
  EXPECT_NEAR(correlation(base, of(1, Purpose::kShuffle, 3)), 0, bound);
  EXPECT_NEAR(correlation(base, of(1, Purpose::kAugment, 4)), 0, bound);
  EXPECT_NEAR(correlation(base, [&](int i) { return base(i + 1); }), 0, bound);
}

TEST(Random, UniformNumbersFillTheirRangeEvenly) {
  Random random(1, Purpose::kSample, 0, 0);
  std::vector<int> bins(16);
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.uniform(-2, 6);
    ASSERT_GE(value, -2);
    ASSERT_LT(value, 6);
    sum += value;
    ++bins[static_cast<size_t>((value + 2) * 2)];
  }
  EXPECT_NEAR(sum / kDraws, 2, 5 * 8 / std::sqrt(12.0 * kDraws));
  const double expected = kDraws / 16.0;
  for (const int count : bins) EXPECT_NEAR(count, expected, 5 * std::sqrt(expected));
}

TEST(Random, UniformNumbersUseAll53Bits) {
  Random random(1, Purpose::kSample, 0, 0);
  int odd = 0;
  for (int i = 0; i < 1000; ++i) {
    const double scaled = random.uniform() * 0x1p53;
    EXPECT_EQ(scaled, std::floor(scaled));
    odd += std::fmod(scaled, 2) == 1;
  }
  EXPECT_NEAR(odd, 500, 5 * std::sqrt(250.0));
}

TEST(Random, IntegersFillTheirRangeEvenly) {
  Random random(1, Purpose::kSample, 0, 0);
  std::map<int64_t, int> counts;
  for (int i = 0; i < kDraws; ++i) ++counts[random.integer(-3, 4)];
  ASSERT_EQ(counts.size(), 7u);
  EXPECT_EQ(counts.begin()->first, -3);
  EXPECT_EQ(counts.rbegin()->first, 3);
  const double expected = kDraws / 7.0;
  for (const auto& item : counts) EXPECT_NEAR(item.second, expected, 5 * std::sqrt(expected));
}

TEST(Random, IntegersOfAHugeRangeHaveNoModuloBias) {
  // By the remainder of 64 bits alone, those below 2^62 would come 3 times for 2 of the others.
  Random random(1, Purpose::kSample, 0, 0);
  const int64_t range = 3 * (int64_t{1} << 61);
  int low = 0;
  for (int i = 0; i < kDraws; ++i) low += random.integer(0, range) < range / 3;
  EXPECT_NEAR(low, kDraws / 3.0, 5 * std::sqrt(kDraws * 2 / 9.0));
}

TEST(Random, IntegersReachTheEndsOfInt64) {
  constexpr auto lowest = std::numeric_limits<int64_t>::min();
  constexpr auto highest = std::numeric_limits<int64_t>::max();
  Random random(1, Purpose::kSample, 0, 0);
  EXPECT_EQ(random.integer(highest - 1, highest), highest - 1);
  EXPECT_EQ(random.integer(lowest, lowest + 1), lowest);
  int negative = 0;
  for (int i = 0; i < 1000; ++i) negative += random.integer(lowest, highest) < 0;
  EXPECT_NEAR(negative, 500, 5 * std::sqrt(250.0));
}

TEST(Random, ChanceIsAsOftenAsItSays) {
  Random random(1, Purpose::kSample, 0, 0);
  int never = 0, sometimes = 0, always = 0;
  for (int i = 0; i < kDraws; ++i) {
    never += random.chance(0);
    sometimes += random.chance(0.3);
    always += random.chance(1);
  }
  EXPECT_EQ(never, 0);
  EXPECT_EQ(always, kDraws);
  EXPECT_NEAR(sometimes, 0.3 * kDraws, 5 * std::sqrt(kDraws * 0.21));
}

TEST(Random, NormalNumbersHaveTheMomentsOfTheNormalDistribution) {
  Random random(1, Purpose::kSample, 0, 0);
  double sum = 0, squares = 0, fourths = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = random.normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourths += value * value * value * value;
  }
  // Deviations of the sample moments: 1, sqrt(2) and sqrt(96) over sqrt(n).
  const double unit = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(sum / kDraws, 0, unit);
  EXPECT_NEAR(squares / kDraws, 1, unit * std::sqrt(2.0));
  EXPECT_NEAR(fourths / kDraws, 3, unit * std::sqrt(96.0));
}

TEST(Random, ServesTheStandardLibraryAsAGenerator) {
  static_assert(std::uniform_random_bit_generator<Random>);
  std::vector<int> order{0, 1, 2, 3, 4, 5, 6, 7};
  std::shuffle(order.begin(), order.end(), Random(1, Purpose::kShuffle, 0, 0));
  EXPECT_EQ(std::set<int>(order.begin(), order.end()).size(), 8u);
}

}  // namespace
}  // namespace dnc
