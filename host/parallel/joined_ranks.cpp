#include "host/parallel/joined_ranks.h"

#include <exception>
#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/comm.hpp>

#include "host/parallel/bucket_reducer.h"
#include "host/parallel/gloo.h"
#include "host/parallel/nccl.h"

namespace dnc {
namespace {

constexpr size_t kBroadcastBuffer = size_t{250} << 20;  // bytes

}  // namespace

JoinedRanks::JoinedRanks(c10::intrusive_ptr<c10d::Store> store, int64_t rank, int64_t size,
                         std::chrono::milliseconds timeout, bool one_machine,
                         std::function<void(const std::string&)> note)
    : store_(std::move(store)),
      rank_(rank),
      size_(size),
      timeout_(timeout),
      one_machine_(one_machine),
      note_(std::move(note)) {
  talk([&] {
    training_group_ = make_group("training");
    module_group_ = make_group("modules");
    number_group_ = make_group("numbers");
  });
  training_ = std::make_unique<GroupCommunicator>(training_group_);
  modules_ = std::make_unique<GroupCommunicator>(module_group_);
}

c10::intrusive_ptr<c10d::ProcessGroup> JoinedRanks::make_group(const std::string& name) {
  using Group = c10d::ProcessGroup;
  const c10::intrusive_ptr<c10d::Store> store =
      c10::make_intrusive<c10d::PrefixStore>(name, store_);
  auto group = c10::make_intrusive<Group>(store, static_cast<int>(rank_), static_cast<int>(size_));
  group->setBackend(c10::DeviceType::CPU, Group::BackendType::GLOO,
                    make_gloo(store, rank_, size_, timeout_, one_machine_));
  group->setDefaultBackend(Group::BackendType::GLOO);
  group->setGroupName(name);
  return group;
}

void JoinedRanks::use_device(torch::Device device) {
  if (!device.is_cuda()) return;
  using Group = c10d::ProcessGroup;
  const auto add = [&](const c10::intrusive_ptr<Group>& group, const std::string& name) {
    const auto store = c10::make_intrusive<c10d::PrefixStore>(name + "/nccl", store_);
    const auto nccl = make_nccl(store, rank_, size_, timeout_);
    nccl->setBoundDeviceId(device);
    group->setBackend(c10::DeviceType::CUDA, Group::BackendType::NCCL, nccl);
    group->setDefaultBackend(Group::BackendType::NCCL);
  };
  add(training_group_, "training");
  add(module_group_, "modules");
}

void JoinedRanks::broadcast(const std::vector<torch::Tensor>& tensors) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> values;
  for (const auto& tensor : tensors) {
    if (tensor.numel() > 0) values.push_back(tensor.detach());
  }
  if (values.empty()) return;
  talk([&] { c10d::broadcast_coalesced(training_group_, values, kBroadcastBuffer, /*rank=*/0); });
}

std::unique_ptr<GradientReducer> JoinedRanks::reducer(
    const std::vector<std::pair<std::string, torch::Tensor>>& parameters) {
  return std::make_unique<BucketReducer>(parameters, training_group_);
}

void JoinedRanks::begin_sum(const std::vector<int64_t>& numbers) {
  numbers_ = {torch::tensor(numbers, torch::kInt64)};
  talk([&] { numbers_work_ = number_group_->allreduce(numbers_); });
}

std::vector<int64_t> JoinedRanks::end_sum() {
  talk([&] { numbers_work_->wait(); });
  numbers_work_.reset();
  const auto* begin = numbers_.front().const_data_ptr<int64_t>();
  return {begin, begin + numbers_.front().numel()};
}

void run_as_ranks(int64_t count, const std::function<void(Ranks&)>& body,
                  std::chrono::milliseconds timeout) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
  {
    std::vector<std::jthread> threads;
    for (int64_t rank = 0; rank < count; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          JoinedRanks ranks(store, rank, count, timeout, /*one_machine=*/true,
                            [](const std::string&) {});
          body(ranks);
        } catch (...) {
          errors[static_cast<size_t>(rank)] = std::current_exception();
        }
      });
    }
  }
  std::exception_ptr lost;
  for (const auto& error : errors) {
    if (!error) continue;
    try {
      std::rethrow_exception(error);
    } catch (const RanksError&) {
      if (!lost) lost = error;  // a consequence, unless all are
    }
  }
  if (lost) std::rethrow_exception(lost);
}

}  // namespace dnc
