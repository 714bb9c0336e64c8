#pragma once

#include <torch/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/parallel/rank_environment.h"
#include "registry/communicator.h"
#include "registry/error.h"

namespace dnc {

/// Another rank is gone, or did not come in time: not this rank's own fault.
class RanksError : public Error {
 public:
  using Error::Error;
};

/// Adds the gradients of all ranks up, bucket by bucket, while the backward pass computes the next
/// ones.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  /// loss.backward(). With `last`, the last part of a step, each gradient is the sum over the parts
  /// and over all ranks afterwards; a parameter that no rank has used keeps none. Parts before it
  /// cost no communication.
  virtual void backward(const torch::Tensor& loss, bool last) = 0;
};

/// The processes that train one model together, as the host needs them. All members but rank(),
/// size() and note() are collective, and throw RanksError where another rank is lost.
class Ranks : public Communicator {
 public:
  /// Tensors of this device will travel too. Throws Error where they cannot: NCCL is not there.
  virtual void use_device(torch::Device device) = 0;
  /// Each tensor of rank 0 to all, in place.
  virtual void broadcast(const std::vector<torch::Tensor>& tensors) = 0;
  /// What modules compute over all ranks, in an order of its own; nullptr for one rank.
  virtual Communicator* modules() = 0;
  /// For the parameters of a model that is on its device, in an order that is the same on all
  /// ranks. Throws Error where their shapes differ. nullptr for one rank.
  virtual std::unique_ptr<GradientReducer> reducer(
      const std::vector<std::pair<std::string, torch::Tensor>>& parameters) = 0;

  /// Sums of a few numbers that travel while the ranks do something else: one begins, one ends.
  virtual void begin_sum(const std::vector<int64_t>& numbers) = 0;
  virtual std::vector<int64_t> end_sum() = 0;

  /// What this rank does now, for the message of the others where it is lost.
  virtual void note(const std::string& what) = 0;
};

/// One process alone.
class OneRank final : public Ranks {
 public:
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void sum(const std::vector<torch::Tensor>&) override {}
  torch::Tensor gather(const torch::Tensor& tensor) override { return tensor; }
  void use_device(torch::Device) override {}
  void broadcast(const std::vector<torch::Tensor>&) override {}
  Communicator* modules() override { return nullptr; }
  std::unique_ptr<GradientReducer> reducer(
      const std::vector<std::pair<std::string, torch::Tensor>>&) override {
    return nullptr;
  }
  void begin_sum(const std::vector<int64_t>& numbers) override { numbers_ = numbers; }
  std::vector<int64_t> end_sum() override { return std::exchange(numbers_, {}); }
  void note(const std::string&) override {}

 private:
  std::vector<int64_t> numbers_;
};

/// Runs `body` in `count` threads as ranks of one process that talk over loopback; for tests.
/// Throws what the first of them threw that is no RanksError.
void run_as_ranks(int64_t count, const std::function<void(Ranks&)>& body,
                  std::chrono::milliseconds timeout = std::chrono::seconds(30));

}  // namespace dnc
