#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/communicator.h"
#include "registry/export.h"

namespace dnc {

/// The label of a sample or pixel that counts nowhere: not in a loss, a metric or an update.
/// (Not 255, which is a class of ImageNet; label images' 255 becomes this when they are read.)
inline constexpr int64_t kIgnoredLabel = -1;

/// One training step as a head sees it.
struct HeadStep {
  torch::Tensor embeddings;     // [N, D, ...], with their graph in add_losses, detached in update
  torch::Tensor scores;         // [N, classes, ...], what forward() made of them
  torch::Tensor labels;         // int64 [N, ...]; kIgnoredLabel where there is none
  int64_t step = 0;             // optimizer steps done before this one
  torch::Tensor soft_labels{};  // float [N, classes] where images were mixed, else undefined;
                                // `labels` then holds the class of the largest share
};

/// Named losses, each a scalar that is already weighted; training minimises their sum.
using Losses = std::vector<std::pair<std::string, torch::Tensor>>;

/// Embeddings [N, D, ...] to scores (logits) [N, classes, ...].
///
/// forward() and add_losses() have no side effect. State that is not learned by gradient is a
/// registered buffer, changed in place by update() and by nothing else.
class DNC_EXPORT Head : public torch::nn::Module {
 public:
  ~Head() override;
  virtual torch::Tensor forward(const torch::Tensor& embeddings) = 0;
  /// Adds losses of the head's own; they are differentiated with the others.
  virtual void add_losses(const HeadStep& step, Losses& losses);
  /// Called after the optimizer's step, without gradients. Every rank ends with the same state.
  virtual void update(const HeadStep& step, Communicator& communicator);
};

}  // namespace dnc
