#pragma once

#include <string>
#include <vector>

#include "host/weights/pth.h"

namespace dnc {

/// Copies weights of any origin into the state of a model, in place and without gradients, and says
/// what was done: one line and, where something is left out, a table below it.
///
/// Names of other programs become ours first, see KeyMaps. Then each tensor of the model needs one
/// of the file, of its shape and kind of number (any kind of float will do), and the other way
/// round. What differs is an error, and nothing is changed, but for
/// - names that fit one of the patterns in `allow` ("head.*"): the model's tensor stays as it is;
/// - tensors that a table resizes for a model of another image or window size;
/// - tensors of the head of another number of classes, [classes there, ...] for [classes here,
/// ...];
/// - counters of batch norm (num_batches_tracked), which files before PyTorch 0.4.1 lack.
///
/// Throws CheckpointError with the table of all that differs, also for a pattern in `allow` that no
/// name fits.
std::string start_from_weights(const TensorMap& model, const ForeignWeights& weights,
                               const std::vector<std::string>& allow);

}  // namespace dnc
