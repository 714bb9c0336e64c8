#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <utility>
#include <vector>

#include "host/parallel/group_communicator.h"

namespace dnc {

/// Ranks over c10d: Gloo between CPUs, NCCL between GPUs.
///
/// There are three groups, because the calls of one must come in the same order on all ranks:
/// training itself; modules, which also call from within the backward pass, among the buckets of
/// the gradients; and the few numbers that travel beside a step. The last is always between CPUs,
/// where a rank that is gone is noticed at once, on a GPU too.
class JoinedRanks final : public Ranks {
 public:
  /// Every rank makes one at once, with a store that all see. A call that takes longer than
  /// `timeout` throws RanksError. `note` is told what this rank does. Throws RanksError.
  JoinedRanks(c10::intrusive_ptr<c10d::Store> store, int64_t rank, int64_t size,
              std::chrono::milliseconds timeout, bool one_machine,
              std::function<void(const std::string&)> note);

  int64_t rank() const override { return rank_; }
  int64_t size() const override { return size_; }
  void sum(const std::vector<torch::Tensor>& tensors) override { training_->sum(tensors); }
  torch::Tensor gather(const torch::Tensor& tensor) override { return training_->gather(tensor); }
  void use_device(torch::Device device) override;
  void broadcast(const std::vector<torch::Tensor>& tensors) override;
  Communicator* modules() override { return modules_.get(); }
  std::unique_ptr<GradientReducer> reducer(
      const std::vector<std::pair<std::string, torch::Tensor>>& parameters) override;
  void begin_sum(const std::vector<int64_t>& numbers) override;
  std::vector<int64_t> end_sum() override;
  void note(const std::string& what) override { note_(what); }

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> make_group(const std::string& name);

  c10::intrusive_ptr<c10d::Store> store_;
  int64_t rank_;
  int64_t size_;
  std::chrono::milliseconds timeout_;
  bool one_machine_;
  std::function<void(const std::string&)> note_;
  c10::intrusive_ptr<c10d::ProcessGroup> training_group_;
  c10::intrusive_ptr<c10d::ProcessGroup> module_group_;
  c10::intrusive_ptr<c10d::ProcessGroup> number_group_;
  std::unique_ptr<GroupCommunicator> training_;
  std::unique_ptr<GroupCommunicator> modules_;
  std::vector<torch::Tensor> numbers_;  // on their way
  c10::intrusive_ptr<c10d::Work> numbers_work_;
};

}  // namespace dnc
