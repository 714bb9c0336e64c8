#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>

#include <string>

#include "registry/communicator.h"
#include "registry/fields.h"

namespace dnc {

/// What follows the convolutions of a network; the keys and names of mm's `norm_cfg` are
/// understood.
struct NormOptions {
  enum class Type {
    kBatch,
    kSyncBatch,  // over the samples of all processes, see sync_batch_norm.h
    kGroup,
  };
  Type type = Type::kBatch;
  int64_t groups = 32;  // of a group norm; they divide the channels
  bool requires_grad = true;
  Communicator* ranks = nullptr;  // no option: Context::ranks, for kSyncBatch
  void fields(Fields& f);
  /// Whether a norm in training waits for other processes.
  bool over_ranks() const { return type == Type::kSyncBatch && ranks && ranks->size() > 1; }
};

/// The norm that the options name, with a weight and a bias for each channel: [N, C, H, W] to the
/// same. It registers LibTorch's module of the norm under `name` in `parent`; a handle to it.
class Norm {
 public:
  /// Throws OptionError("norm.groups") for groups that do not divide the channels.
  Norm(torch::nn::Module& parent, const std::string& name, const NormOptions& options,
       int64_t channels);
  /// None.
  Norm(std::nullptr_t) {}

  torch::Tensor operator()(const torch::Tensor& x);
  torch::Tensor weight() const { return group_ ? group_->weight : batch_->weight; }

 private:
  torch::nn::BatchNorm2d batch_{nullptr};  // one of the two
  torch::nn::GroupNorm group_{nullptr};
  Communicator* ranks_ = nullptr;  // over which the statistics are taken
};

}  // namespace dnc
