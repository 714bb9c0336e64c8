#include "host/components/schedules.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "registry/error.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

constexpr int64_t kSteps = 60;
constexpr int64_t kStepsPerEpoch = 7;  // 9 epochs, the last of 4 steps

Context run_of(int64_t steps = kSteps) {
  Context context;
  context.run.steps = steps;
  context.run.steps_per_epoch = kStepsPerEpoch;
  return context;
}

torch::Tensor factors(const std::function<double(int64_t)>& factor, int64_t count = kSteps) {
  std::vector<double> values;
  for (int64_t step = 0; step < count; ++step) values.push_back(factor(step));
  return torch::tensor(values, torch::kFloat64);
}

torch::Tensor factors(const Schedule& schedule) {
  return factors([&](int64_t step) { return schedule.factor(step); });
}

/// What PyTorch gives for each epoch, at each step.
torch::Tensor per_step(const torch::Tensor& per_epoch) {
  return per_epoch.repeat_interleave(kStepsPerEpoch).slice(0, 0, kSteps);
}

template <typename T>
T make(const std::function<void(typename T::Options&)>& set) {
  typename T::Options options;
  set(options);
  return T(options, run_of());
}

TEST(Schedules, MatchPyTorchTo1e12) {
  const auto golden = Golden::load("schedules.txt");
  const auto expect = [&](const std::string& name, const Schedule& schedule, bool by_epoch) {
    const auto expected = by_epoch ? per_step(golden[name]) : golden[name];
    EXPECT_TRUE(is_close(factors(schedule), expected, 1e-12)) << name;
  };
  expect("step", make<StepSchedule>([](auto& o) { o.every = 3, o.gamma = 0.3; }), true);
  expect("step/steps", make<StepSchedule>([](auto& o) {
           o.every = 11, o.gamma = 0.5, o.unit = TimeUnit::kSteps;
         }),
         false);
  expect("multistep", make<MultiStepSchedule>([](auto& o) {
           o.milestones = {5, 2, 6}, o.gamma = 0.2;
         }),
         true);
  expect("multistep/steps", make<MultiStepSchedule>([](auto& o) {
           o.milestones = {1, 30, 45}, o.unit = TimeUnit::kSteps;
         }),
         false);
  expect("cosine", make<CosineSchedule>([](auto&) {}), false);
  expect("cosine/min", make<CosineSchedule>([](auto& o) { o.min_factor = 0.05; }), false);
  expect("cosine/epoch",
         make<CosineSchedule>([](auto& o) { o.min_factor = 0.05, o.by = TimeUnit::kEpochs; }),
         true);
  expect("poly", make<PolySchedule>([](auto&) {}), false);
  expect("poly/epoch", make<PolySchedule>([](auto& o) { o.power = 2, o.by = TimeUnit::kEpochs; }),
         true);
  expect("exponential/epoch",
         make<ExponentialSchedule>([](auto& o) { o.gamma = 0.9, o.by = TimeUnit::kEpochs; }), true);
  expect("onecycle/cosine", make<OneCycleSchedule>([](auto&) {}), false);
  expect("onecycle/linear", make<OneCycleSchedule>([](auto& o) {
           o.shape = OneCycleSchedule::Shape::kLinear;
           o.peak = 0.4, o.div_factor = 10, o.final_div_factor = 100;
         }),
         false);
}

TEST(Warmup, MatchesPyTorchTo1e12) {
  const auto golden = Golden::load("schedules.txt");
  Warmup warmup;
  warmup.epochs = 2;
  warmup.start = 0.2;
  const auto factor = [&](int64_t step) { return warmup.factor(step, kStepsPerEpoch); };
  EXPECT_TRUE(is_close(factors(factor), golden["warmup/linear"], 1e-12));
  warmup.shape = Warmup::Shape::kConstant;
  EXPECT_TRUE(is_close(factors(factor), golden["warmup/constant"], 1e-12));
}

TEST(Warmup, CountsStepsOrEpochsAndIsOffByDefault) {
  Warmup warmup;
  EXPECT_EQ(warmup.length(7), 0);
  EXPECT_EQ(warmup.factor(0, 7), 1);
  warmup.steps = 5;
  EXPECT_EQ(warmup.length(7), 5);
  warmup.steps = 0;
  warmup.epochs = 0.5;
  EXPECT_EQ(warmup.length(8), 4);
  warmup.steps = 5;
  try {
    warmup.length(7);
    FAIL() << "did not throw";
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), "epochs");
    EXPECT_STREQ(error.what(), "is given beside steps; give one of them");
  }
}

TEST(PolySchedule, EndsAtMinFactor) {
  const auto schedule = make<PolySchedule>([](auto& o) { o.power = 1, o.min_factor = 0.2; });
  EXPECT_DOUBLE_EQ(schedule.factor(0), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(kSteps / 2), 0.6);
  EXPECT_DOUBLE_EQ(schedule.factor(kSteps), 0.2);
}

TEST(ExponentialSchedule, FallsByFractionsOfAnEpochUnlessByEpoch) {
  const auto schedule = make<ExponentialSchedule>([](auto& o) { o.gamma = 0.5; });
  EXPECT_DOUBLE_EQ(schedule.factor(kStepsPerEpoch), 0.5);
  EXPECT_DOUBLE_EQ(schedule.factor(1), std::pow(0.5, 1.0 / 7));
}

TEST(ConstantSchedule, IsOne) { EXPECT_EQ(ConstantSchedule().factor(1000), 1); }

TEST(Schedules, StayAtTheirEndBeyondTheRun) {
  for (const int64_t step : {kSteps, kSteps + 1, kSteps * 10}) {
    EXPECT_NEAR(make<CosineSchedule>([](auto& o) { o.min_factor = 0.1; }).factor(step), 0.1, 1e-15);
    EXPECT_EQ(make<PolySchedule>([](auto&) {}).factor(step), 0);
    const auto one_cycle = make<OneCycleSchedule>([](auto&) {});
    EXPECT_EQ(one_cycle.factor(step), one_cycle.factor(kSteps - 1));
  }
}

TEST(OneCycleSchedule, IsSoundInRunsOfAFewStepsAndWithAPeakAtEitherEnd) {
  for (const int64_t steps : {1, 2, 3, 4, 10}) {
    for (const double peak : {0.0, 0.1, 0.3, 0.5, 1.0}) {
      OneCycleSchedule::Options options;
      options.peak = peak;
      const OneCycleSchedule schedule(options, run_of(steps));
      for (int64_t step = 0; step < steps; ++step) {
        const double factor = schedule.factor(step);
        EXPECT_TRUE(factor > 0 && factor <= 1) << factor << " at " << step << " of " << steps;
      }
    }
  }
}

TEST(Schedules, AskForTheLengthOfTheRun) {
  EXPECT_THROW(CosineSchedule({}, Context()), c10::Error);
  EXPECT_THROW(StepSchedule({}, Context()), c10::Error);
}

}  // namespace
}  // namespace dnc
