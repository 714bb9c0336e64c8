#include "host/frozen/neighbours.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace dnc {
namespace {

/// Corners of a cube, of which many are equal and many equally near: cosines are whole numbers
/// times one factor, so that ties are ties.
torch::Tensor coarse_directions(int64_t count, int64_t D) {
  return torch::randint(0, 2, {count, D}).mul(2).sub(1).to(torch::kFloat32) / std::sqrt(double(D));
}

/// One after the other, by sorting all.
Neighbours naive_neighbours(const torch::Tensor& queries, const torch::Tensor& points, int64_t k) {
  const auto cosines = queries.matmul(points.t()).contiguous();
  Neighbours found{torch::empty({queries.size(0), k}, torch::kLong),
                   torch::empty({queries.size(0), k})};
  for (int64_t q = 0; q < queries.size(0); ++q) {
    const auto* row = cosines.data_ptr<float>() + q * points.size(0);
    std::vector<int64_t> order(static_cast<size_t>(points.size(0)));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return row[a] > row[b]; });
    for (int64_t i = 0; i < k; ++i) {
      found.indices[q][i] = order[static_cast<size_t>(i)];
      found.cosines[q][i] = row[order[static_cast<size_t>(i)]];
    }
  }
  return found;
}

/// The classes of one query by falling votes, those with a vote only.
std::vector<int64_t> naive_answer(const Neighbours& neighbours, int64_t query, int64_t k,
                                  const torch::Tensor& point_labels, double temperature,
                                  int64_t classes) {
  std::vector<double> votes(static_cast<size_t>(classes), 0);
  for (int64_t i = 0; i < k; ++i) {
    const auto label = point_labels[neighbours.indices[query][i].item<int64_t>()].item<int64_t>();
    votes[static_cast<size_t>(label)] +=
        std::exp(neighbours.cosines[query][i].item<double>() / temperature);
  }
  std::vector<int64_t> answer;
  for (int64_t c = 0; c < classes; ++c) {
    if (votes[static_cast<size_t>(c)] > 0) answer.push_back(c);
  }
  std::stable_sort(answer.begin(), answer.end(), [&](int64_t a, int64_t b) {
    return votes[static_cast<size_t>(a)] > votes[static_cast<size_t>(b)];
  });
  return answer;
}

TEST(NearestNeighbours, AreThoseOfSortingAllWithTheFirstOfEqualOnesAhead) {
  // More points than a block of them, more queries than a block of those.
  const auto points = coarse_directions(17000, 12), queries = coarse_directions(1100, 12);
  const auto found = nearest_neighbours(queries, points, 25, torch::kCPU);
  const auto some = torch::arange(0, 1100, 50);
  const auto expected = naive_neighbours(queries.index_select(0, some), points, 25);
  EXPECT_TRUE(torch::equal(found.indices.index_select(0, some), expected.indices));
  EXPECT_TRUE(torch::allclose(found.cosines.index_select(0, some), expected.cosines, 0, 1e-6));
}

TEST(NearestNeighbours, AllPointsInOrderWhereKIsTheirNumber) {
  const auto points = torch::randn({7, 3});
  auto units = points.clone();
  normalise_rows(units);
  EXPECT_TRUE(torch::allclose(units.norm(2, 1), torch::ones({7})));
  const auto found = nearest_neighbours(units, units, 7, torch::kCPU);
  EXPECT_TRUE(torch::equal(found.indices.select(1, 0), torch::arange(7))) << "itself is nearest";
  EXPECT_TRUE(torch::equal(std::get<0>(found.indices.sort(1)), torch::arange(7).expand({7, 7})));
}

TEST(KnnAccuracy, EqualsANaiveVote) {
  const int64_t classes = 9;
  const auto points = coarse_directions(300, 8), queries = coarse_directions(1500, 8);
  const auto point_labels = torch::randint(0, classes, {300}, torch::kLong);
  const auto labels = torch::randint(0, classes, {1500}, torch::kLong);
  const auto neighbours = nearest_neighbours(queries, points, 20, torch::kCPU);
  for (const int64_t k : {1, 3, 20}) {
    int64_t first = 0, among_five = 0;
    for (int64_t q = 0; q < queries.size(0); ++q) {
      const auto answer = naive_answer(neighbours, q, k, point_labels, 0.07, classes);
      const auto end = answer.begin() + std::min<int64_t>(5, static_cast<int64_t>(answer.size()));
      const auto label = labels[q].item<int64_t>();
      first += answer.front() == label;
      among_five += std::find(answer.begin(), end, label) != end;
    }
    const auto found = knn_accuracy(neighbours, labels, point_labels, k, 0.07, classes);
    EXPECT_EQ(found.top1, static_cast<double>(first) / 1500) << k;
    EXPECT_EQ(found.top5, static_cast<double>(among_five) / 1500) << k;
  }
}

TEST(KnnAccuracy, NearNeighboursWeighMoreThanManyFarOnes) {
  const Neighbours neighbours{torch::tensor({{0, 1, 2}}, torch::kLong),
                              torch::tensor({{0.9, 0.5, 0.5}}, torch::kFloat32)};
  const auto point_labels = torch::tensor({1, 0, 0}, torch::kLong);
  const auto label = torch::tensor({1}, torch::kLong);
  EXPECT_EQ(knn_accuracy(neighbours, label, point_labels, 3, 0.07, 2).top1, 1) << "e^5.7 against 2";
  EXPECT_EQ(knn_accuracy(neighbours, label, point_labels, 3, 10, 2).top1, 0) << "1.04 against 2";
}

TEST(KnnAccuracy, AClassWithoutANeighbourIsNoAnswer) {
  const Neighbours neighbours{torch::tensor({{0}}, torch::kLong), torch::tensor({{-1.0F}})};
  const auto point_labels = torch::tensor({2}, torch::kLong);
  const auto absent =
      knn_accuracy(neighbours, torch::tensor({0}, torch::kLong), point_labels, 1, 0.01, 3);
  EXPECT_EQ(absent.top5, 0) << "though there are only three classes";
  const auto there =
      knn_accuracy(neighbours, torch::tensor({2}, torch::kLong), point_labels, 1, 0.01, 3);
  EXPECT_EQ(there.top1, 1) << "however far it is";
}

}  // namespace
}  // namespace dnc
