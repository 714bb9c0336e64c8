#include "host/components/schedules.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "registry/error.h"

namespace dnc {
namespace {

int64_t steps_per(TimeUnit unit, const Context& context) {
  if (unit == TimeUnit::kSteps) return 1;
  TORCH_CHECK(context.run.steps_per_epoch > 0, "Context::run.steps_per_epoch is not known");
  return context.run.steps_per_epoch;
}

int64_t steps_of_run(const Context& context) {
  TORCH_CHECK(context.run.steps > 0, "Context::run.steps is not known");
  return context.run.steps;
}

void add_unit(Fields& f, TimeUnit& unit, const std::string& what) {
  f.choice("unit", unit, {{"epochs", TimeUnit::kEpochs}, {"steps", TimeUnit::kSteps}},
           "What " + what + " counts.");
}

void add_by(Fields& f, TimeUnit& by) {
  f.choice("by", by, {{"step", TimeUnit::kSteps}, {"epoch", TimeUnit::kEpochs}},
           "Whether the factor changes at each step or at each epoch.");
}

void add_gamma(Fields& f, double& gamma, const std::string& when) {
  f("gamma", gamma, "Factor on the lr " + when + ".").above(0);
}

void add_min_factor(Fields& f, double& min_factor) {
  f("min_factor", min_factor, "Factor at the end of the run.").between(0, 1).alias("min_lr_ratio");
}

}  // namespace

void StepSchedule::Options::fields(Fields& f) {
  f("every", every, "Epochs or steps between two changes.").at_least(1).alias("step_size");
  add_gamma(f, gamma, "at each change");
  add_unit(f, unit, "`every`");
}

StepSchedule::StepSchedule(const Options& options, const Context& context)
    : options_(options), steps_per_unit_(steps_per(options.unit, context)) {}

double StepSchedule::factor(int64_t step) const {
  return std::pow(options_.gamma, static_cast<double>(step / steps_per_unit_ / options_.every));
}

void MultiStepSchedule::Options::fields(Fields& f) {
  f("milestones", milestones, "Epochs or steps from whose beginning on the lr is changed.")
      .required()
      .at_least(1)
      .length(1, 1000)
      .alias("step");
  add_gamma(f, gamma, "at each milestone");
  add_unit(f, unit, "`milestones`");
}

MultiStepSchedule::MultiStepSchedule(const Options& options, const Context& context)
    : options_(options), steps_per_unit_(steps_per(options.unit, context)) {}

double MultiStepSchedule::factor(int64_t step) const {
  const auto passed = std::count_if(options_.milestones.begin(), options_.milestones.end(),
                                    [now = step / steps_per_unit_](int64_t m) { return m <= now; });
  return std::pow(options_.gamma, static_cast<double>(passed));
}

RunShare::RunShare(TimeUnit by, const Context& context)
    : steps_per_unit_(steps_per(by, context)),
      units_((steps_of_run(context) + steps_per_unit_ - 1) / steps_per_unit_) {}

double RunShare::operator()(int64_t step) const {
  return static_cast<double>(std::min(step / steps_per_unit_, units_)) /
         static_cast<double>(units_);
}

void CosineSchedule::Options::fields(Fields& f) {
  add_min_factor(f, min_factor);
  add_by(f, by);
}

CosineSchedule::CosineSchedule(const Options& options, const Context& context)
    : options_(options), fraction_(options.by, context) {}

double CosineSchedule::factor(int64_t step) const {
  const double share = (1 + std::cos(std::numbers::pi * fraction_(step))) / 2;
  return options_.min_factor + (1 - options_.min_factor) * share;
}

void PolySchedule::Options::fields(Fields& f) {
  f("power", power, "Exponent; 1 is a straight line.").above(0);
  add_min_factor(f, min_factor);
  add_by(f, by);
}

PolySchedule::PolySchedule(const Options& options, const Context& context)
    : options_(options), fraction_(options.by, context) {}

double PolySchedule::factor(int64_t step) const {
  const double share = std::pow(1 - fraction_(step), options_.power);
  return options_.min_factor + (1 - options_.min_factor) * share;
}

void ExponentialSchedule::Options::fields(Fields& f) {
  add_gamma(f, gamma, "per epoch");
  add_by(f, by);
}

ExponentialSchedule::ExponentialSchedule(const Options& options, const Context& context)
    : options_(options), steps_per_epoch_(steps_per(TimeUnit::kEpochs, context)) {}

double ExponentialSchedule::factor(int64_t step) const {
  const double epochs = static_cast<double>(step) / static_cast<double>(steps_per_epoch_);
  return std::pow(options_.gamma, options_.by == TimeUnit::kEpochs ? std::floor(epochs) : epochs);
}

void OneCycleSchedule::Options::fields(Fields& f) {
  f("peak", peak, "Share of the run after which the factor is 1.").between(0, 1).alias("pct_start");
  f("div_factor", div_factor, "The factor at the first step is 1 / div_factor.").at_least(1);
  f("final_div_factor", final_div_factor,
    "The factor at the last step is 1 / (div_factor * final_div_factor).")
      .at_least(1);
  f.choice("shape", shape, {{"cosine", Shape::kCosine}, {"linear", Shape::kLinear}},
           "How it climbs and falls.")
      .alias("anneal_strategy");
}

OneCycleSchedule::OneCycleSchedule(const Options& options, const Context& context)
    : options_(options),
      last_(static_cast<double>(steps_of_run(context)) - 1),
      top_(options.peak * static_cast<double>(steps_of_run(context)) - 1) {}

double OneCycleSchedule::factor(int64_t step) const {
  const double at = std::min(static_cast<double>(step), last_);
  const double start = 1 / options_.div_factor;
  // A run may be too short to have both parts: then it has the one that it is in.
  if (at <= top_) return top_ > 0 ? between(start, 1, at / top_) : 1;
  const double begin = std::max(top_, 0.0);
  return between(1, start / options_.final_div_factor,
                 last_ > begin ? (at - begin) / (last_ - begin) : 0);
}

double OneCycleSchedule::between(double start, double end, double share) const {
  if (options_.shape == Shape::kLinear) return start + (end - start) * share;
  return end + (start - end) / 2 * (1 + std::cos(std::numbers::pi * share));
}

void Warmup::fields(Fields& f) {
  f("steps", steps, "Length in steps.").at_least(0).alias("warmup_iters");
  f("epochs", epochs, "Length in epochs, instead of steps.").between(0, 100000);
  f("start", start, "Factor at the first step.").between(0, 1).alias("warmup_ratio");
  f.choice("shape", shape, {{"linear", Shape::kLinear}, {"constant", Shape::kConstant}},
           "Climb to the full lr, or jump to it at the end.");
}

int64_t Warmup::length(int64_t steps_per_epoch) const {
  if (steps > 0 && epochs > 0) {
    throw OptionError("epochs", "is given beside steps; give one of them");
  }
  return epochs > 0 ? std::llround(epochs * static_cast<double>(steps_per_epoch)) : steps;
}

double Warmup::factor(int64_t step, int64_t steps_per_epoch) const {
  const int64_t end = length(steps_per_epoch);
  if (step >= end) return 1;
  if (shape == Shape::kConstant) return start;
  return start + (1 - start) * static_cast<double>(step) / static_cast<double>(end);
}

}  // namespace dnc
