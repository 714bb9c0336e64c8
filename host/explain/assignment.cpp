#include "host/explain/assignment.h"

#include <c10/util/Exception.h>

#include <limits>

namespace dnc {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kNone = -1;

/// Rows are added one by one. Prices of rows and columns keep every cost minus both prices at 0 or
/// above, and at 0 where a row has its column; so what is there at any time costs the least.
class Assignment {
 public:
  Assignment(const std::vector<double>& costs, int64_t rows, int64_t columns)
      : costs_(costs),
        columns_(columns),
        row_price_(static_cast<size_t>(rows)),
        column_price_(static_cast<size_t>(columns)),
        row_of_(static_cast<size_t>(columns), kNone) {}

  /// Finds the cheapest way to a free column, over rows that give theirs up for another.
  void add(int64_t row) {
    distance_.assign(row_of_.size(), kInfinity);
    before_.assign(row_of_.size(), kNone);
    done_.assign(row_of_.size(), 0);
    int64_t from = kNone;  // the column by which `at` was reached
    int64_t at = row;
    double so_far = 0;
    while (true) {
      look_from(at, from, so_far);
      from = nearest_open();
      const auto column = static_cast<size_t>(from);
      so_far = distance_[column];
      done_[column] = 1;
      if (row_of_[column] == kNone) break;
      at = row_of_[column];
    }
    update_prices(row, so_far);
    give(from, row);
  }

  std::vector<int64_t> column_of_rows() const {
    std::vector<int64_t> found(row_price_.size(), kNone);
    for (size_t column = 0; column < row_of_.size(); ++column) {
      if (row_of_[column] != kNone) {
        found[static_cast<size_t>(row_of_[column])] = static_cast<int64_t>(column);
      }
    }
    return found;
  }

 private:
  void look_from(int64_t row, int64_t column, double so_far) {
    const auto* const costs = costs_.data() + row * columns_;
    const double price = row_price_[static_cast<size_t>(row)];
    for (size_t to = 0; to < row_of_.size(); ++to) {
      if (done_[to] != 0) continue;
      const double distance = so_far + costs[to] - price - column_price_[to];
      if (distance < distance_[to]) {
        distance_[to] = distance;
        before_[to] = column;
      }
    }
  }

  int64_t nearest_open() const {
    int64_t best = kNone;
    double least = kInfinity;
    for (size_t column = 0; column < row_of_.size(); ++column) {
      if (done_[column] == 0 && distance_[column] < least) {
        least = distance_[column];
        best = static_cast<int64_t>(column);
      }
    }
    return best;
  }

  void update_prices(int64_t row, double length) {
    row_price_[static_cast<size_t>(row)] += length;
    for (size_t column = 0; column < row_of_.size(); ++column) {
      if (done_[column] == 0 || row_of_[column] == kNone) continue;
      row_price_[static_cast<size_t>(row_of_[column])] += length - distance_[column];
      column_price_[column] -= length - distance_[column];
    }
  }

  /// Moves each row of the way to the column after its own.
  void give(int64_t column, int64_t row) {
    while (true) {
      const auto before = before_[static_cast<size_t>(column)];
      if (before == kNone) break;
      row_of_[static_cast<size_t>(column)] = row_of_[static_cast<size_t>(before)];
      column = before;
    }
    row_of_[static_cast<size_t>(column)] = row;
  }

  const std::vector<double>& costs_;
  int64_t columns_;
  std::vector<double> row_price_;
  std::vector<double> column_price_;
  std::vector<int64_t> row_of_;  // each column
  // Of the way that is looked for, for each column:
  std::vector<double> distance_;
  std::vector<int64_t> before_;  // the column before it; none where it is reached from the new row
  std::vector<char> done_;       // its distance is final
};

}  // namespace

std::vector<int64_t> cheapest_assignment(const std::vector<double>& costs, int64_t rows,
                                         int64_t columns) {
  TORCH_CHECK(rows >= 0 && rows <= columns && static_cast<int64_t>(costs.size()) == rows * columns,
              "cheapest_assignment: ", costs.size(), " costs for ", rows, " x ", columns);
  Assignment assignment(costs, rows, columns);
  for (int64_t row = 0; row < rows; ++row) assignment.add(row);
  return assignment.column_of_rows();
}

}  // namespace dnc
