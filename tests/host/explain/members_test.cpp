#include "host/explain/members.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "host/explain/confusions.h"
#include "tests/host/explain/prototype_head.h"

namespace dnc {
namespace {

NearestSearch::Points random_points(int64_t size, int64_t classes, int64_t channels) {
  NearestSearch::Points all;
  all.values = unit_points({size, channels});
  all.labels = torch::randint(-1, classes, {size}, torch::kLong);
  all.samples = torch::randperm(size, torch::kLong);
  all.places = torch::rand({size, 2});
  return all;
}

NearestSearch::Points part_of(const NearestSearch::Points& all, int64_t first, int64_t count) {
  const auto part = [&](const torch::Tensor& whole) { return whole.narrow(0, first, count); };
  return {part(all.values), part(all.labels), part(all.samples), part(all.places)};
}

// The prototype of its class that a point is nearest to, with the cosine; one by one.
std::pair<int64_t, double> nearest_by_hand(const NearestSearch::Points& all,
                                           const torch::Tensor& prototypes, int64_t row) {
  const auto label = all.labels[row].item<int64_t>();
  std::pair<int64_t, double> best{-1, -2};
  for (int64_t k = 0; k < prototypes.size(1); ++k) {
    const double cosine = all.values[row].dot(prototypes[label][k]).item<double>();
    if (cosine > best.second) best = {k, cosine};
  }
  return best;
}

TEST(MemberSearch, CountsAndListsWhatBelongsToEachPrototype) {
  const auto prototypes = unit_points({3, 4, 5});
  auto all = random_points(300, 2, 5);  // nothing of the last class
  all.values[17] = NAN;
  MemberSearch search(prototypes, {.shown = 3, .drawn = 10, .seed = 1});
  for (int64_t first = 0; first < 300; first += 60) search.add(part_of(all, first, 60));

  std::map<std::pair<int64_t, int64_t>, std::vector<std::pair<double, int64_t>>> expected;
  for (int64_t row = 0; row < 300; ++row) {
    if (row == 17 || all.labels[row].item<int64_t>() < 0) continue;
    const auto [k, cosine] = nearest_by_hand(all, prototypes, row);
    expected[{all.labels[row].item<int64_t>(), k}].emplace_back(-cosine,
                                                                all.samples[row].item<int64_t>());
  }
  int64_t in_all = 0;
  for (int64_t label = 0; label < 3; ++label) {
    for (int64_t k = 0; k < 4; ++k) {
      auto& members = expected[{label, k}];
      std::ranges::sort(members);
      const auto& found = search.of(label, k);
      ASSERT_EQ(found.count, static_cast<int64_t>(members.size()));
      in_all += found.count;
      if (members.empty()) {
        EXPECT_TRUE(std::isnan(found.spread()));
        EXPECT_TRUE(found.typical.empty());
        continue;
      }
      double distances = 0;
      for (const auto& [minus, sample] : members) distances += 1 + minus;
      EXPECT_NEAR(found.spread(), distances / static_cast<double>(members.size()), 1e-6);
      const auto shown = std::min<size_t>(3, members.size());
      ASSERT_EQ(found.typical.size(), shown);
      ASSERT_EQ(found.atypical.size(), shown);
      for (size_t i = 0; i < shown; ++i) {
        EXPECT_EQ(found.typical[i].sample, members[i].second);
        EXPECT_NEAR(found.typical[i].similarity, -members[i].first, 1e-6);
        EXPECT_EQ(found.atypical[i].sample, members[members.size() - 1 - i].second);
      }
    }
  }
  EXPECT_EQ(search.count(0) + search.count(1), in_all);
  EXPECT_EQ(search.count(2), 0);
}

TEST(MemberSearch, ShowsASampleOnceByItsBestLocation) {
  NearestSearch::Points all;
  all.values = torch::tensor({{1.0, 0.0}, {0.8, 0.6}, {0.6, 0.8}, {0.96, 0.28}});
  all.labels = torch::zeros({4}, torch::kLong);
  all.samples = torch::tensor({7, 7, 8, 8}, torch::kLong);
  all.places = torch::tensor({{0.1, 0.2}, {0.3, 0.4}, {0.5, 0.6}, {0.7, 0.8}});
  MemberSearch search(torch::tensor({{{1.0, 0.0}}}), {.shown = 5});
  search.add(all);
  const auto& found = search.of(0, 0);
  EXPECT_EQ(found.count, 4);
  ASSERT_EQ(found.typical.size(), 2u);
  EXPECT_EQ(found.typical[0].sample, 7);
  EXPECT_FLOAT_EQ(found.typical[0].x, 0.2);
  EXPECT_FLOAT_EQ(found.typical[0].y, 0.1);
  EXPECT_FLOAT_EQ(found.typical[1].similarity, 0.96);
  ASSERT_EQ(found.atypical.size(), 2u);
  EXPECT_EQ(found.atypical[0].sample, 8);
  EXPECT_FLOAT_EQ(found.atypical[0].similarity, 0.6);
  EXPECT_FLOAT_EQ(found.atypical[1].similarity, 0.8);
}

TEST(MemberSearch, DrawsPointsOfEachClassThatDoNotDependOnTheBatches) {
  const auto prototypes = unit_points({2, 3, 5});
  const auto all = random_points(400, 2, 5);
  std::vector<MemberSearch> searches;
  for (const int64_t batch : {400, 50}) {
    auto& search = searches.emplace_back(prototypes, MemberOptions{.drawn = 20, .seed = 3});
    for (int64_t first = 0; first < 400; first += batch) search.add(part_of(all, first, batch));
  }
  for (int64_t label = 0; label < 2; ++label) {
    const auto one = searches[0].drawn(label), other = searches[1].drawn(label);
    ASSERT_EQ(one.values.sizes(), (std::vector<int64_t>{20, 5}));
    EXPECT_TRUE(torch::equal(one.values, other.values));
    EXPECT_EQ(one.indices, other.indices);
    std::set<int64_t> rows;
    for (int64_t i = 0; i < 20; ++i) {
      const auto row = all.values.sub(one.values[i]).abs().sum(1).argmin().item<int64_t>();
      rows.insert(row);
      EXPECT_EQ(all.labels[row].item<int64_t>(), label);
      EXPECT_EQ(one.indices[static_cast<size_t>(i)], nearest_by_hand(all, prototypes, row).first);
    }
    EXPECT_EQ(rows.size(), 20u) << "each once";
    EXPECT_GT(*rows.rbegin(), 200) << "from all of the data";
  }
}

TEST(NearestOfClass, OfNoPointsIsNothing) {
  const auto [indices, cosines] = nearest_of_class(
      torch::empty({0, 5}), torch::empty({0}, torch::kLong), unit_points({2, 3, 5}));
  EXPECT_EQ(indices.numel() + cosines.numel(), 0);
}

TEST(ConfusionSearch, CountsByTheNearestPrototypeOfTheClassThatWasChosen) {
  const auto prototypes = unit_points({3, 2, 5});
  auto all = random_points(200, 3, 5);
  const auto scores = torch::randn({200, 3});
  ConfusionSearch search(prototypes);
  for (int64_t first = 0; first < 200; first += 50) {
    search.add(part_of(all, first, 50), scores.narrow(0, first, 50));
  }
  std::map<std::vector<int64_t>, int64_t> expected;
  const auto labels = all.labels.clone();
  all.labels = scores.argmax(1);
  for (int64_t row = 0; row < 200; ++row) {
    const auto label = labels[row].item<int64_t>();
    if (label < 0) continue;
    const auto index = nearest_by_hand(all, prototypes, row).first;
    ++expected[{label, all.labels[row].item<int64_t>(), index}];
  }
  int64_t in_all = 0;
  for (int64_t label = 0; label < 3; ++label) {
    for (int64_t taken = 0; taken < 3; ++taken) {
      for (int64_t k = 0; k < 2; ++k) {
        const auto found = expected.find({label, taken, k});
        EXPECT_EQ(search.count(label, taken, k), found == expected.end() ? 0 : found->second);
      }
    }
    in_all += search.count(label);
  }
  EXPECT_EQ(in_all, labels.ge(0).sum().item<int64_t>());
}

}  // namespace
}  // namespace dnc
