#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace dnc::report {

/// Mean and sample standard deviation (n - 1 in the denominator) of one figure over runs.
struct Spread {
  int64_t count = 0;
  double mean = 0;       // NaN for count 0
  double deviation = 0;  // NaN for count < 2: one run has no spread
};

Spread spread(const std::vector<double>& values);

/// The middle value, or the mean of the two in the middle; NaN for none.
double median(std::vector<double> values);

/// The difference of two configs over the seeds that both have. Runs of one seed see the same
/// batches, so what a seed does to both falls out.
struct PairedDifference {
  int64_t pairs = 0;
  double mean = 0;       // other - reference; NaN without pairs
  double deviation = 0;  // of the differences; NaN for fewer than 2 pairs
  double low = 0;        // 95 % interval of the mean difference by Student's t distribution with
  double high = 0;       // pairs - 1 degrees of freedom; NaN for fewer than 2 pairs
};

/// Both map a seed to the figure of its run.
PairedDifference paired_difference(const std::map<int64_t, double>& reference,
                                   const std::map<int64_t, double>& other);

}  // namespace dnc::report
