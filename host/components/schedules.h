#pragma once

#include <cstdint>
#include <vector>

#include "registry/context.h"
#include "registry/fields.h"
#include "registry/schedule.h"

namespace dnc {

/// What a number of an option counts, or how often a factor changes.
enum class TimeUnit { kSteps, kEpochs };

/// Factor 1 throughout.
class ConstantSchedule final : public Schedule {
 public:
  double factor(int64_t) const override { return 1; }
};

/// gamma^floor(t / every), with t in epochs or steps (torch.optim's StepLR).
class StepSchedule final : public Schedule {
 public:
  struct Options {
    int64_t every = 30;
    double gamma = 0.1;
    TimeUnit unit = TimeUnit::kEpochs;
    void fields(Fields& f);
  };

  StepSchedule(const Options& options, const Context& context);
  double factor(int64_t step) const override;

 private:
  Options options_;
  int64_t steps_per_unit_;
};

/// gamma^(number of milestones up to t), with t in epochs or steps (MultiStepLR).
class MultiStepSchedule final : public Schedule {
 public:
  struct Options {
    std::vector<int64_t> milestones;
    double gamma = 0.1;
    TimeUnit unit = TimeUnit::kEpochs;
    void fields(Fields& f);
  };

  MultiStepSchedule(const Options& options, const Context& context);
  double factor(int64_t step) const override;

 private:
  Options options_;
  int64_t steps_per_unit_;
};

/// How far a run is, counted in steps, or in whole epochs for a factor that changes each epoch.
class RunShare {
 public:
  RunShare(TimeUnit by, const Context& context);
  /// t / T in [0, 1]: 0 at the first step, 1 after the last.
  double operator()(int64_t step) const;

 private:
  int64_t steps_per_unit_;
  int64_t units_;
};

/// Half a cosine from 1 to min_factor over the run (Loshchilov and Hutter 2017; CosineAnnealingLR
/// with T_max = the run): min + (1 - min) * (1 + cos(pi * t / T)) / 2.
class CosineSchedule final : public Schedule {
 public:
  struct Options {
    double min_factor = 0;
    TimeUnit by = TimeUnit::kSteps;
    void fields(Fields& f);
  };

  CosineSchedule(const Options& options, const Context& context);
  double factor(int64_t step) const override;

 private:
  Options options_;
  RunShare fraction_;
};

/// min + (1 - min) * (1 - t / T)^power over the run (PolynomialLR; DeepLab's "poly").
class PolySchedule final : public Schedule {
 public:
  struct Options {
    double power = 0.9;
    double min_factor = 0;
    TimeUnit by = TimeUnit::kSteps;
    void fields(Fields& f);
  };

  PolySchedule(const Options& options, const Context& context);
  double factor(int64_t step) const override;

 private:
  Options options_;
  RunShare fraction_;
};

/// gamma^t with t in epochs, by fractions of an epoch or whole ones (ExponentialLR).
class ExponentialSchedule final : public Schedule {
 public:
  struct Options {
    double gamma = 0.97;
    TimeUnit by = TimeUnit::kSteps;
    void fields(Fields& f);
  };

  ExponentialSchedule(const Options& options, const Context& context);
  double factor(int64_t step) const override;

 private:
  Options options_;
  int64_t steps_per_epoch_;
};

/// Up from 1 / div_factor to 1 within the share `peak` of the run, then down to
/// 1 / (div_factor * final_div_factor) (Smith and Topin 2018; OneCycleLR, whose max_lr is the lr of
/// the config). Momentum stays as it is: OneCycleLR with cycle_momentum=False.
class OneCycleSchedule final : public Schedule {
 public:
  enum class Shape { kCosine, kLinear };
  struct Options {
    double peak = 0.3;
    double div_factor = 25;
    double final_div_factor = 1e4;
    Shape shape = Shape::kCosine;
    void fields(Fields& f);
  };

  OneCycleSchedule(const Options& options, const Context& context);
  double factor(int64_t step) const override;

 private:
  double between(double start, double end, double share) const;

  Options options_;
  double last_;  // the last step of the run
  double top_;   // where the factor is 1; need not be whole
};

/// The first steps of a run, on a ramp: the lr of each is what the schedule gives for that step
/// times factor(), as in mmcv. `linear` climbs from `start` to 1 (LinearLR), `constant` stays at
/// `start` and then jumps (ConstantLR).
struct Warmup {
  enum class Shape { kLinear, kConstant };

  int64_t steps = 0;
  double epochs = 0;  // instead of steps; may be a fraction
  double start = 0.1;
  Shape shape = Shape::kLinear;
  void fields(Fields& f);

  /// In steps. Throws OptionError where both steps and epochs are given.
  int64_t length(int64_t steps_per_epoch) const;
  /// From step length() on 1.
  double factor(int64_t step, int64_t steps_per_epoch) const;
};

}  // namespace dnc
