#include "plugins/backbones/common/norm.h"

#include "plugins/backbones/common/sync_batch_norm.h"
#include "registry/error.h"

namespace dnc {

void NormOptions::fields(Fields& f) {
  f.choice(
      "type", type,
      {{"batch", Type::kBatch},
       {"sync_batch", Type::kSyncBatch},
       {"group", Type::kGroup},
       {"BN", Type::kBatch},
       {"SyncBN", Type::kSyncBatch},
       {"GN", Type::kGroup}},
      "Over the samples and pixels of a batch in each channel (batch, sync_batch), or over "
      "groups of channels in each sample (group). With several processes batch takes the samples "
      "of each by itself, sync_batch those of all.");
  f("groups", groups, "Groups of a group norm; they must divide all channels.")
      .between(1, 4096)
      .alias("num_groups");
  f("requires_grad", requires_grad, "Whether weights and biases of the norms learn.");
}

Norm::Norm(torch::nn::Module& parent, const std::string& name, const NormOptions& options,
           int64_t channels)
    : ranks_(options.over_ranks() ? options.ranks : nullptr) {
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

torch::Tensor Norm::operator()(const torch::Tensor& x) {
  if (group_) return group_(x);
  return ranks_ && batch_->is_training() ? sync_batch_norm(x, *batch_, *ranks_) : batch_(x);
}

}  // namespace dnc
