#include "host/rejection/separation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>

namespace dnc {
namespace {

void check(const std::vector<double>& scores) {
  if (scores.empty()) throw std::invalid_argument("there are no scores");
  if (!std::ranges::all_of(scores, [](double score) { return std::isfinite(score); })) {
    throw std::invalid_argument("a score is not finite");
  }
}

// The product of a share and a number, where it is meant to be whole, may miss it by this.
constexpr double kRounding = 1e-9;

}  // namespace

double auroc(const std::vector<double>& known, const std::vector<double>& unknown) {
  check(known);
  check(unknown);
  auto sorted = unknown;
  std::ranges::sort(sorted);
  double wins = 0;  // pairs, in halves: exact up to 2^52
  for (const double score : known) {
    const auto [first, last] = std::ranges::equal_range(sorted, score);
    wins += static_cast<double>((first - sorted.begin()) + (last - sorted.begin()));
  }
  return wins / 2 / static_cast<double>(known.size()) / static_cast<double>(unknown.size());
}

double accepted_share(const std::vector<double>& scores, double threshold) {
  check(scores);
  const auto count =
      std::ranges::count_if(scores, [&](double score) { return score >= threshold; });
  return static_cast<double>(count) / static_cast<double>(scores.size());
}

double false_accepts_at(const std::vector<double>& known, const std::vector<double>& unknown,
                        double share) {
  check(known);
  if (!(share > 0 && share <= 1)) throw std::invalid_argument("the share is not in (0, 1]");
  auto sorted = known;
  std::ranges::sort(sorted, std::greater{});
  const auto least =
      static_cast<size_t>(std::ceil(share * static_cast<double>(known.size()) - kRounding));
  return accepted_share(unknown, sorted[std::clamp<size_t>(least, 1, known.size()) - 1]);
}

double threshold_for(const std::vector<double>& unknown, double false_accept_rate) {
  check(unknown);
  if (!(false_accept_rate >= 0 && false_accept_rate < 1)) {
    throw std::invalid_argument("the false-accept rate is not in [0, 1)");
  }
  auto sorted = unknown;
  std::ranges::sort(sorted, std::greater{});
  const auto most =
      static_cast<size_t>(false_accept_rate * static_cast<double>(unknown.size()) + kRounding);
  return std::nextafter(sorted[std::min(most, unknown.size() - 1)],
                        std::numeric_limits<double>::infinity());
}

bool all_equal(const std::vector<double>& known, const std::vector<double>& unknown) {
  check(known);
  check(unknown);
  const auto same = [&](double score) { return score == known.front(); };
  return std::ranges::all_of(known, same) && std::ranges::all_of(unknown, same);
}

}  // namespace dnc
