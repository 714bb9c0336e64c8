#include "host/parallel/bucket_reducer.h"

#include <algorithm>
#include <torch/csrc/distributed/c10d/comm.hpp>
#include <unordered_map>

#include "host/parallel/group_communicator.h"

namespace dnc {
namespace {

constexpr int64_t kBucket = 25 << 20;      // bytes, as DistributedDataParallel
constexpr int64_t kFirstBucket = 1 << 20;  // of the layers whose gradients come first

/// Takes the warnings of LibTorch and drops them.
class NoWarnings final : public c10::WarningHandler {
 public:
  void process(const c10::Warning&) override {}
};

/// Sums, not means: each rank's loss counts by its share of all samples already.
class SumHook final : public c10d::CppCommHookInterface<c10::intrusive_ptr<c10d::ProcessGroup>> {
 public:
  using CppCommHookInterface::CppCommHookInterface;
  c10::intrusive_ptr<c10::ivalue::Future> runHook(c10d::GradBucket& bucket) override {
    std::vector<torch::Tensor> sums{bucket.getBufferRef()};
    return state_->allreduce(sums)->getFuture();
  }
};

}  // namespace

BucketReducer::BucketReducer(const std::vector<std::pair<std::string, torch::Tensor>>& parameters,
                             const c10::intrusive_ptr<c10d::ProcessGroup>& group) {
  std::vector<torch::Tensor> tensors;
  std::unordered_map<size_t, std::string> names;
  for (const auto& [name, tensor] : parameters) {
    names[tensors.size()] = name;
    tensors.push_back(tensor);
  }
  talk([&] { c10d::verify_params_across_processes(group, tensors, std::nullopt); });
  const std::vector<bool> sparse(tensors.size(), false);
  auto buckets = std::get<0>(c10d::compute_bucket_assignment_by_size(
      tensors, {static_cast<size_t>(kFirstBucket), static_cast<size_t>(kBucket)}, sparse));
  std::reverse(buckets.begin(), buckets.end());  // gradients come from the last layer on
  reducer_ = std::make_unique<c10d::Reducer>(
      tensors, std::move(buckets), group, sparse, kBucket, /*find_unused_parameters=*/true,
      /*gradient_as_bucket_view=*/false, std::move(names), kFirstBucket,
      /*skip_all_reduce_unused_params=*/false, /*use_python_reducer=*/false,
      /*bucket_bytes_cap_list=*/std::vector<int64_t>{});
  reducer_->register_comm_hook(std::make_unique<SumHook>(group));
}

void BucketReducer::backward(const torch::Tensor& loss, bool last) {
  if (!last) return loss.backward();
  talk([&] {
    reducer_->prepare_for_forward();
    {
      NoWarnings quiet;  // that there are no unused parameters
      const c10::WarningUtils::WarningHandlerGuard guard(&quiet);
      reducer_->prepare_for_backward({loss});
    }
    loss.backward();
  });
}

}  // namespace dnc
