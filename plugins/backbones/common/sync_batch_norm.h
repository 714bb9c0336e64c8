#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/types.h>

#include "registry/communicator.h"

namespace dnc {

/// The training pass of a batch norm over the samples of all ranks together: x [N, C, ...] of this
/// rank to the same, with `norm`'s weight and bias, whose running statistics it moves. Values and
/// gradients equal those of `norm` on the whole batch; N may differ among the ranks. The gradients
/// of weight and bias are those of this rank's samples, to be summed like all others.
///
/// Each rank sends mean, sum of squared deviations and count of its samples, which are combined as
/// in Chan et al. 1979: a sum of squares would cancel in float32. One call of the communicator in
/// each pass.
torch::Tensor sync_batch_norm(const torch::Tensor& x, torch::nn::BatchNorm2dImpl& norm,
                              Communicator& ranks);

}  // namespace dnc
