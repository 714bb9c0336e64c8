#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "registry/fields.h"

namespace dnc {

struct EmaOptions {
  double decay = 0.999;
  int64_t every = 1;
  int64_t warmup = 0;
  void fields(Fields& f);
};

/// The exponential moving average of a model's parameters: average = decay * average +
/// (1 - decay) * parameter, once every `every` calls of update(). With `warmup` w the n-th update
/// uses min(decay, n / (w + n - 1)), so that early averages do not cling to the initial values; the
/// usual w is 10 (TensorFlow).
///
/// Buffers are not averaged: the model keeps its live ones, also while its parameters are the
/// averages. Batch statistics and prototypes are moving averages already.
class Ema {
 public:
  /// Begins with the values that the parameters have now. Keeps handles on the parameters, which
  /// must keep shape, type and device.
  Ema(const torch::nn::Module& model, const EmaOptions& options);

  /// After each step of the optimizer. Where `skip`, a scalar on the parameters' device, is not 0,
  /// the averages stay as they are; the host does not wait to know.
  void update(const torch::Tensor& skip = {});
  /// Exchanges the values of the averages and of the parameters, in place. A second call restores
  /// both, bit for bit.
  void swap();
  /// ("average.<parameter>", ...) and "updates", int64: the calls of update(). Not while swapped.
  std::vector<std::pair<std::string, torch::Tensor>> state();

 private:
  EmaOptions options_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;
  std::vector<torch::Tensor> averages_;
  torch::Tensor updates_;  // int64 scalar on the CPU
  bool swapped_ = false;
};

/// While it lives the model has the averaged parameters. Does nothing without an Ema.
class AveragedParameters {
 public:
  explicit AveragedParameters(Ema* ema) : ema_(ema) {
    if (ema_) ema_->swap();
  }
  ~AveragedParameters() {
    if (ema_) ema_->swap();
  }
  AveragedParameters(const AveragedParameters&) = delete;
  AveragedParameters& operator=(const AveragedParameters&) = delete;

 private:
  Ema* ema_;
};

}  // namespace dnc
