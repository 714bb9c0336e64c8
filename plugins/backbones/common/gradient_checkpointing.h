#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <functional>
#include <memory>

#include "registry/fields.h"

namespace dnc {

/// The option of a network whose blocks may go through checkpoint().
void checkpoint_field(Fields& f, bool& checkpoint_blocks);

/// function(x), a tensor, of which the backward pass keeps `x` only: it computes the rest again
/// when it gets there (Chen et al. 2016, "Training deep nets with sublinear memory cost"). So a
/// network of blocks needs memory for the inputs of all blocks and the inside of one, for about a
/// third more time.
///
/// `function` uses no parameters but those of `module`. The second run sees what the first saw:
/// the same random numbers of the default generators of the CPU and of x's device, the same
/// autocast, and it leaves the module's buffers (running statistics) as they are. So gradients are
/// those without it, bit for bit where x has no other use than here. Second derivatives are not
/// there: a gradient that is itself to be differentiated ends in an error.
torch::Tensor checkpoint(torch::nn::Module& module,
                         std::function<torch::Tensor(const torch::Tensor&)> function,
                         const torch::Tensor& x);

/// block->forward(x, more...), through checkpoint() where `recompute` says so. Later changes of
/// `more` are not seen by the second run.
template <typename Block, typename... More>
torch::Tensor forward_block(const std::shared_ptr<Block>& block, bool recompute,
                            const torch::Tensor& x, const More&... more) {
  if (!recompute) return block->forward(x, more...);
  return checkpoint(
      *block,
      [block, more...](const torch::Tensor& again) { return block->forward(again, more...); }, x);
}

}  // namespace dnc
