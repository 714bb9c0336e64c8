#include "host/explain/assignment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <set>

namespace dnc {
namespace {

double cost_of(const std::vector<double>& costs, const std::vector<int64_t>& columns_of_rows,
               int64_t columns) {
  double sum = 0;
  for (size_t row = 0; row < columns_of_rows.size(); ++row) {
    sum += costs[row * static_cast<size_t>(columns) + static_cast<size_t>(columns_of_rows[row])];
  }
  return sum;
}

// Of all ways to give each row a column of its own.
double least_cost(const std::vector<double>& costs, int64_t rows, int64_t columns) {
  std::vector<int64_t> order(static_cast<size_t>(columns));
  std::iota(order.begin(), order.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    least = std::min(least, cost_of(costs, {order.begin(), order.begin() + rows}, columns));
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

TEST(Assignment, CostsAsLittleAsTheBestOfAllPermutations) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> any(-1, 1);
  for (int64_t rows = 1; rows <= 5; ++rows) {
    for (int64_t columns = rows; columns <= 7; ++columns) {
      for (int trial = 0; trial < 10; ++trial) {
        std::vector<double> costs(static_cast<size_t>(rows * columns));
        for (auto& cost : costs) cost = any(random);
        const auto found = cheapest_assignment(costs, rows, columns);
        EXPECT_EQ(std::set(found.begin(), found.end()).size(), static_cast<size_t>(rows));
        EXPECT_NEAR(cost_of(costs, found, columns), least_cost(costs, rows, columns), 1e-12)
            << rows << " x " << columns;
      }
    }
  }
}

TEST(Assignment, OfEqualCostsIsStillOneColumnForEachRow) {
  const auto found = cheapest_assignment(std::vector<double>(12, 0.5), 3, 4);
  EXPECT_EQ(std::set(found.begin(), found.end()).size(), 3u);
  EXPECT_TRUE(cheapest_assignment({}, 0, 3).empty());
}

}  // namespace
}  // namespace dnc
