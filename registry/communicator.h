#pragma once

#include <torch/types.h>

#include <vector>

#include "registry/export.h"

namespace dnc {

/// The processes that train one model together. A call is collective: every rank makes it, in the
/// same order, with tensors of the same shapes.
class DNC_EXPORT Communicator {
 public:
  virtual ~Communicator();
  virtual int64_t rank() const = 0;
  virtual int64_t size() const = 0;
  /// Replaces each tensor by its sum over all ranks, in place.
  virtual void sum(const std::vector<torch::Tensor>& tensors) = 0;
  /// [n, ...] on each rank, the same n, to [size * n, ...] in the order of the ranks.
  virtual torch::Tensor gather(const torch::Tensor& tensor) = 0;
};

/// One process alone: sums and gathers are what it has.
class DNC_EXPORT SingleProcess final : public Communicator {
 public:
  ~SingleProcess() override;
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 1; }
  void sum(const std::vector<torch::Tensor>&) override {}
  torch::Tensor gather(const torch::Tensor& tensor) override { return tensor; }
};

}  // namespace dnc
