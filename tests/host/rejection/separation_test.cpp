#include "host/rejection/separation.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "tests/golden/golden.h"

namespace dnc {
namespace {

std::vector<double> to_vector(const torch::Tensor& values) {
  const auto doubles = values.to(torch::kFloat64).contiguous();
  return {doubles.const_data_ptr<double>(), doubles.const_data_ptr<double>() + doubles.numel()};
}

// Scores as tests/golden/separation.py makes them.
std::vector<double> golden_scores(const std::string& name, int64_t size, double shift,
                                  double steps) {
  auto values = golden_values(name, {size}).to(torch::kFloat64) + shift;
  if (steps > 0) values = (values * steps).round() / steps;  // halves to even, as NumPy rounds
  return to_vector(values);
}

double auroc_by_pairs(const std::vector<double>& known, const std::vector<double>& unknown) {
  double wins = 0;
  for (const double a : known) {
    for (const double b : unknown) wins += a > b ? 1 : a == b ? 0.5 : 0;
  }
  return wins / static_cast<double>(known.size() * unknown.size());
}

TEST(Separation, MatchesScikitLearn) {
  struct Case {
    const char* name;
    int64_t known;
    int64_t unknown;
    double steps;
  };
  const auto golden = Golden::load("separation.txt");
  for (const auto& [name, known, unknown, steps] :
       {Case{"smooth", 300, 500, 0}, Case{"ties", 300, 500, 8}, Case{"coarse", 101, 67, 2},
        Case{"few", 3, 2, 4}, Case{"one", 1, 1, 0}}) {
    const std::string prefix = name;
    const auto a = golden_scores(prefix + "/known", known, 0.4, steps);
    const auto b = golden_scores(prefix + "/unknown", unknown, 0, steps);
    EXPECT_NEAR(auroc(a, b), golden[prefix + "/auroc"].item<double>(), 1e-14) << name;
    for (const std::string share : {"0.5", "0.95", "1.0"}) {
      EXPECT_NEAR(false_accepts_at(a, b, std::stod(share)),
                  golden[prefix + "/fpr_" + share].item<double>(), 1e-14)
          << name << " at " << share;
    }
  }
}

TEST(Separation, AurocEqualsTheCountOverAllPairs) {
  for (int64_t trial = 0; trial < 20; ++trial) {
    const auto known = to_vector(torch::randint(0, 2 + trial, {17 + trial}));
    const auto unknown = to_vector(torch::randint(0, 2 + trial, {11}));
    EXPECT_NEAR(auroc(known, unknown), auroc_by_pairs(known, unknown), 1e-15);
    EXPECT_NEAR(auroc(known, unknown) + auroc(unknown, known), 1, 1e-15);
  }
}

TEST(Separation, FalseAcceptsAreThoseOfTheHighestThresholdThatKeepsEnough) {
  const auto known = to_vector(torch::randint(0, 30, {83}));
  const auto unknown = to_vector(torch::randint(-10, 20, {57}));
  for (const double share : {0.01, 0.5, 0.95, 1.0}) {
    double expected = 1;
    for (const double threshold : known) {
      if (accepted_share(known, threshold) < share) continue;
      expected = std::min(expected, accepted_share(unknown, threshold));
    }
    EXPECT_EQ(false_accepts_at(known, unknown, share), expected);
  }
}

TEST(Separation, AThresholdLetsNoMorePassThanWantedAndNoOtherCanLetMore) {
  const auto unknown = to_vector(torch::randint(0, 40, {100}));
  for (const double rate : {0.0, 0.005, 0.01, 0.05, 0.3, 0.99}) {
    const double threshold = threshold_for(unknown, rate);
    EXPECT_LE(accepted_share(unknown, threshold), rate);
    // A hair lower, the next sample passes, and with those equal to it they are too many.
    const double lower = std::nextafter(threshold, -std::numeric_limits<double>::infinity());
    EXPECT_GT(accepted_share(unknown, lower), rate);
  }
  EXPECT_EQ(accepted_share({5, 4, 3, 2, 1}, threshold_for({5, 4, 3, 2, 1}, 0.4)), 0.4);
}

TEST(Separation, EqualScoresTellNothing) {
  const std::vector<double> same(7, 1.0);
  EXPECT_TRUE(all_equal(same, {1, 1}));
  EXPECT_FALSE(all_equal(same, {1, 2}));
  EXPECT_EQ(auroc(same, {1, 1}), 0.5);
  EXPECT_EQ(false_accepts_at(same, {1, 1}, 0.95), 1);
  EXPECT_EQ(accepted_share({1, 1}, threshold_for({1, 1}, 0.5)), 0) << "both or none";
}

TEST(Separation, NothingAndNaNAreRefused) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(auroc({}, {1}), std::invalid_argument);
  EXPECT_THROW(auroc({1}, {}), std::invalid_argument);
  EXPECT_THROW(auroc({1, nan}, {1}), std::invalid_argument);
  EXPECT_THROW(false_accepts_at({1}, {nan}, 0.95), std::invalid_argument);
  EXPECT_THROW(false_accepts_at({1}, {1}, 0), std::invalid_argument);
  EXPECT_THROW(threshold_for({}, 0.1), std::invalid_argument);
  EXPECT_THROW(threshold_for({1}, 1), std::invalid_argument);
}

}  // namespace
}  // namespace dnc
