#include "plugins/backbones/common/norm.h"

#include "registry/error.h"

namespace dnc {

void NormOptions::fields(Fields& f) {
  f.choice("type", type,
           {{"batch", Type::kBatch},
            {"sync_batch", Type::kSyncBatch},
            {"group", Type::kGroup},
            {"BN", Type::kBatch},
            {"SyncBN", Type::kSyncBatch},
            {"GN", Type::kGroup}},
           "Over the samples and pixels of a batch in each channel (batch, sync_batch), or over "
           "groups of channels in each sample (group). sync_batch is batch for now: each process "
           "takes the statistics of its own samples.");
  f("groups", groups, "Groups of a group norm; they must divide all channels.")
      .between(1, 4096)
      .alias("num_groups");
  f("requires_grad", requires_grad, "Whether weights and biases of the norms learn.");
}

Norm::Norm(torch::nn::Module& parent, const std::string& name, const NormOptions& options,
           int64_t channels) {
  if (options.type == NormOptions::Type::kGroup) {
    if (channels % options.groups != 0) {
      throw OptionError("norm.groups", "is " + std::to_string(options.groups) +
                                           ", which does not divide the " +
                                           std::to_string(channels) + " channels of a layer");
    }
    group_ = parent.register_module(name, torch::nn::GroupNorm(options.groups, channels));
  } else {
    batch_ = parent.register_module(name, torch::nn::BatchNorm2d(channels));
  }
  weight().requires_grad_(options.requires_grad);
  (group_ ? group_->bias : batch_->bias).requires_grad_(options.requires_grad);
}

torch::Tensor Norm::operator()(const torch::Tensor& x) { return group_ ? group_(x) : batch_(x); }

}  // namespace dnc
