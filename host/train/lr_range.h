#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace dnc {

/// The range test of Smith, "Cyclical learning rates for training neural networks" (WACV 2017),
/// with the exponential growth and the smoothed loss of later users: step i of n has the lr
///
///   from * (to / from)^(i / (n - 1)),
///
/// and the losses go into a moving average, s_i = b s_(i-1) + (1 - b) loss_i, corrected for its
/// start by 1 / (1 - b^(i+1)).
class LrRange {
 public:
  struct Options {
    double from = 1e-6;
    double to = 10;
    int64_t steps = 100;
    double smoothing = 0.95;  // b
    double divergence = 4;    // times the lowest smoothed loss: the test is over
  };
  struct Point {
    double lr = 0;
    double loss = 0;
    double smoothed = 0;
  };

  /// Throws Error for a range that is empty, not positive, or of fewer than 10 steps.
  explicit LrRange(const Options& options);

  double lr(int64_t step) const;
  /// Takes the loss of the next step. False when the test is over: after the last step, or when the
  /// loss has diverged or is not finite; a loss that is not finite is no point.
  bool add(double loss);
  const std::vector<Point>& points() const { return points_; }
  /// Ended before its last step.
  bool diverged() const { return diverged_; }

  /// Where the smoothed loss falls fastest in lr's logarithm, of the points before its minimum and
  /// after the first tenth, whose average is of too few losses. None where it does not fall.
  std::optional<double> steepest() const;
  /// A tenth of the lr at which the smoothed loss is lowest. None without points.
  std::optional<double> tenth_of_minimum() const;

 private:
  size_t minimum() const;

  Options options_;
  std::vector<Point> points_;
  double average_ = 0;
  double lowest_ = 0;
  bool diverged_ = false;
};

}  // namespace dnc
