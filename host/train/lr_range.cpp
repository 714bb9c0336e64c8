#include "host/train/lr_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "registry/error.h"

namespace dnc {

LrRange::LrRange(const Options& options) : options_(options) {
  if (!(options.from > 0) || !(options.to > options.from) || !std::isfinite(options.to)) {
    throw Error(fmt::format("--from, --to: must be 0 < from < to, not {:g} and {:g}", options.from,
                            options.to));
  }
  if (options.steps < 10) {
    throw Error(fmt::format("--steps: is {}, must be at least 10", options.steps));
  }
}

double LrRange::lr(int64_t step) const {
  const double share = static_cast<double>(step) / static_cast<double>(options_.steps - 1);
  return options_.from * std::pow(options_.to / options_.from, share);
}

bool LrRange::add(double loss) {
  const auto step = static_cast<int64_t>(points_.size());
  if (!std::isfinite(loss)) {
    diverged_ = true;
    return false;
  }
  average_ = options_.smoothing * average_ + (1 - options_.smoothing) * loss;
  const double smoothed = average_ / (1 - std::pow(options_.smoothing, step + 1));
  points_.push_back({lr(step), loss, smoothed});
  if (step == 0 || smoothed < lowest_) lowest_ = smoothed;
  const bool last = step + 1 == options_.steps;
  // A negative loss has no multiple that is worse.
  diverged_ = !last && lowest_ > 0 && smoothed > options_.divergence * lowest_;
  return !last && !diverged_;
}

size_t LrRange::minimum() const {
  const auto lowest = std::ranges::min_element(points_, {}, &Point::smoothed);
  return static_cast<size_t>(lowest - points_.begin());
}

std::optional<double> LrRange::steepest() const {
  if (points_.size() < 3) return std::nullopt;
  const auto end = minimum();
  double best = -1e-6 * std::abs(points_.front().smoothed);  // less is rounding
  std::optional<double> found;
  for (size_t i = std::max<size_t>(1, points_.size() / 10); i < end; ++i) {
    const double slope = (points_[i + 1].smoothed - points_[i - 1].smoothed) /
                         std::log(points_[i + 1].lr / points_[i - 1].lr);
    if (slope >= best) continue;
    best = slope;
    found = points_[i].lr;
  }
  return found;
}

std::optional<double> LrRange::tenth_of_minimum() const {
  if (points_.empty()) return std::nullopt;
  return points_[minimum()].lr / 10;
}

}  // namespace dnc
