#include <gtest/gtest.h>
#include <torch/types.h>

#include <set>
#include <vector>

#include "ops/groups.h"
#include "plugins/heads/dnc/sample_memory.h"

namespace dnc {
namespace {

torch::Tensor longs(const std::vector<int64_t>& values) { return torch::tensor(values); }

/// The same keys with fewer and with more possible keys than samples.
const std::vector<int64_t> kKeys = {4, 1, 4, 4, 0, 1};
const std::vector<int64_t> kSizes = {5, 1000};

TEST(Groups, ReduceEachGroup) {
  for (const int64_t size : kSizes) {
    const Groups groups(longs(kKeys), size);
    EXPECT_LE(groups.count(), 6);
    const auto values = torch::tensor({1., 2., 4., 8., -16., 32.}).view({6, 1});
    const auto sums = groups.to_samples(groups.sum(values)).flatten();
    EXPECT_TRUE(torch::equal(sums, torch::tensor({13., 34., 13., 13., -16., 34.})));
    const auto largest = groups.to_samples(groups.max(values)).flatten();
    EXPECT_TRUE(torch::equal(largest, torch::tensor({8., 32., 8., 8., -16., 32.})));
    const auto numbers = groups.to_samples(groups.max(at::arange(6)));
    EXPECT_TRUE(torch::equal(numbers, longs({3, 5, 3, 3, 4, 5})));
  }
}

TEST(Groups, OneNumberForEachKeyIsInUse) {
  const Groups groups(longs(kKeys), 1000);
  const auto used = groups.keys().masked_select(groups.in_use());
  EXPECT_EQ(used.size(0), 3);
  const std::set<int64_t> keys(used.data_ptr<int64_t>(), used.data_ptr<int64_t>() + 3);
  EXPECT_EQ(keys, (std::set<int64_t>{0, 1, 4}));
}

TEST(Groups, ReadAndWriteRowsOfATable) {
  for (const int64_t size : kSizes) {
    const Groups groups(longs(kKeys), size);
    auto table = at::randn({size, 3});
    const auto before = table.clone();
    const auto counts = groups.sum(at::ones({6, 1}));
    groups.write(table, at::where(counts.gt(0), groups.read(table) + counts, groups.read(table)));
    auto expected = before.clone();
    expected[4] += 3;
    expected[1] += 2;
    expected[0] += 1;
    EXPECT_TRUE(torch::equal(table, expected));
  }
}

TEST(RankInGroup, CountsThoseBefore) {
  const auto counts = torch::tensor({true, true, false, true, true, true});
  EXPECT_TRUE(torch::equal(rank_in_group(longs(kKeys), counts), longs({0, 0, 1, 1, 0, 1})));
}

TEST(WriteRows, WritesWhatIsKeptAndNothingElse) {
  for (const auto& keep :
       {torch::tensor({false, true, false, true}), torch::tensor({true, true, true, true}),
        torch::tensor({false, false, false, false})}) {
    auto table = at::arange(10).to(torch::kFloat).view({5, 2});
    auto expected = table.clone();
    const auto rows = longs({0, 4, 2, 1});
    const auto values = at::randn({4, 2});
    for (int64_t i = 0; i < 4; ++i) {
      if (keep[i].item<bool>()) expected[rows[i].item<int64_t>()] = values[i];
    }
    write_rows(table, rows, values, keep);
    EXPECT_TRUE(torch::equal(table, expected));
  }
}

TEST(SampleMemory, KeepsTheLastOfEachClass) {
  SampleMemory memory(3, 2, 1);
  const auto held = [&](int64_t label) {
    const auto [rows, labels] = memory.find(Groups(longs({0, 1, 2}), 3));
    std::multiset<float> values;
    for (int64_t i = 0; i < rows.size(0); ++i) {
      if (labels[i].item<int64_t>() != label) continue;
      values.insert(memory.samples.flatten()[rows[i].item<int64_t>()].item<float>());
    }
    return values;
  };
  const auto add = [&](const std::vector<float>& points, const std::vector<int64_t>& labels,
                       std::vector<int64_t> counts) {
    memory.add(torch::tensor(points).unsqueeze(1), longs(labels), longs(counts).to(torch::kBool));
  };
  add({1, 2, 3}, {0, 2, 0}, {1, 1, 0});
  EXPECT_EQ(held(0), (std::multiset<float>{1}));
  EXPECT_EQ(held(1), (std::multiset<float>{}));
  EXPECT_EQ(held(2), (std::multiset<float>{2}));
  add({4, 5}, {0, 0}, {1, 1});
  EXPECT_EQ(held(0), (std::multiset<float>{4, 5}));  // 1 was the oldest
  add({6, 7, 8, 9}, {2, 2, 2, 2}, {0, 1, 1, 1});     // more than there is room for
  EXPECT_EQ(held(2), (std::multiset<float>{7, 8}));
  EXPECT_EQ(held(0), (std::multiset<float>{4, 5}));
}

}  // namespace
}  // namespace dnc
