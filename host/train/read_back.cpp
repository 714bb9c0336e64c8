#include "host/train/read_back.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/torch.h>

namespace dnc {

ReadBack::ReadBack(const std::vector<std::pair<std::string, torch::Tensor>>& scalars) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> values;
  for (const auto& [name, value] : scalars) {
    names_.push_back(name);
    values.push_back(value.to(torch::kFloat64));
  }
  if (values.empty()) return;
  host_ = torch::stack(values);
  const auto device = host_.device();
  if (device.is_cpu()) return;
  const auto pinned = torch::TensorOptions(torch::kFloat64).pinned_memory(true);
  host_ = torch::empty(host_.sizes(), pinned).copy_(host_, /*non_blocking=*/true);
  copied_.emplace(device.type());
  copied_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

std::vector<std::pair<std::string, double>> ReadBack::values() const {
  if (copied_) copied_->synchronize();
  std::vector<std::pair<std::string, double>> values;
  const auto* value = host_.defined() ? host_.const_data_ptr<double>() : nullptr;
  for (const auto& name : names_) values.emplace_back(name, *value++);
  return values;
}

}  // namespace dnc
