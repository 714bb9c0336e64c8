#include "host/report/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

namespace dnc::report {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

Spread spread(const std::vector<double>& values) {
  if (values.empty()) return {0, kNaN, kNaN};
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  if (values.size() < 2) return {1, mean, kNaN};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {static_cast<int64_t>(values.size()), mean, std::sqrt(squares / (count - 1))};
}

double median(std::vector<double> values) {
  // NaN has no place in an order: one of them makes the result unknown.
  if (values.empty() || std::ranges::any_of(values, [](double v) { return std::isnan(v); })) {
    return kNaN;
  }
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

PairedDifference paired_difference(const std::map<int64_t, double>& reference,
                                   const std::map<int64_t, double>& other) {
  std::vector<double> differences;
  for (const auto& [seed, value] : other) {
    const auto match = reference.find(seed);
    if (match != reference.end()) differences.push_back(value - match->second);
  }
  const auto [count, mean, deviation] = spread(differences);
  if (count < 2) return {count, mean, kNaN, kNaN, kNaN};
  const boost::math::students_t distribution(static_cast<double>(count - 1));
  const double half = boost::math::quantile(distribution, 0.975) * deviation /
                      std::sqrt(static_cast<double>(count));
  return {count, mean, deviation, mean - half, mean + half};
}

}  // namespace dnc::report
