#pragma once

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <vector>

#include "host/parallel/ranks.h"

namespace dnc {

/// Calls what talks to other ranks; a failure of the connection becomes a RanksError.
template <typename Call>
auto talk(const Call& call) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const c10::DistError& error) {
    throw RanksError(error.what_without_backtrace());
  } catch (const c10::Error&) {
    throw;  // of a module in the backward pass
  } catch (const std::exception& error) {
    throw RanksError(error.what());
  }
}

/// Communicator over a process group of c10d, whose backend is that of each tensor's device.
class GroupCommunicator final : public Communicator {
 public:
  explicit GroupCommunicator(c10::intrusive_ptr<c10d::ProcessGroup> group);

  int64_t rank() const override { return group_->getRank(); }
  int64_t size() const override { return group_->getSize(); }
  void sum(const std::vector<torch::Tensor>& tensors) override;
  torch::Tensor gather(const torch::Tensor& tensor) override;

 private:
  c10::intrusive_ptr<c10d::ProcessGroup> group_;
};

}  // namespace dnc
