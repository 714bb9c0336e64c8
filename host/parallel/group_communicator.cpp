#include "host/parallel/group_communicator.h"

#include <utility>

namespace dnc {

GroupCommunicator::GroupCommunicator(c10::intrusive_ptr<c10d::ProcessGroup> group)
    : group_(std::move(group)) {}

void GroupCommunicator::sum(const std::vector<torch::Tensor>& tensors) {
  talk([&] {
    std::vector<std::pair<torch::Tensor, c10::intrusive_ptr<c10d::Work>>> under_way;
    for (const auto& tensor : tensors) {
      if (tensor.numel() == 0) continue;
      std::vector<torch::Tensor> sums{tensor.detach().contiguous()};
      auto work = group_->allreduce(sums);
      under_way.emplace_back(sums.front(), std::move(work));
    }
    size_t next = 0;
    for (const auto& tensor : tensors) {
      if (tensor.numel() == 0) continue;
      const auto& [sum, work] = under_way[next++];
      work->wait();
      if (sum.unsafeGetTensorImpl() != tensor.unsafeGetTensorImpl() && !sum.is_alias_of(tensor)) {
        tensor.detach().copy_(sum);  // it was not contiguous
      }
    }
  });
}

torch::Tensor GroupCommunicator::gather(const torch::Tensor& tensor) {
  const bool flags = tensor.scalar_type() == torch::kBool;  // which Gloo does not know
  auto own = (flags ? tensor.to(torch::kUInt8) : tensor.detach()).contiguous();
  auto sizes = own.sizes().vec();
  sizes.front() *= size();
  auto all = torch::empty(sizes, own.options());
  if (own.numel() > 0) talk([&] { group_->_allgather_base(all, own)->wait(); });
  return flags ? all.to(torch::kBool) : all;
}

}  // namespace dnc
