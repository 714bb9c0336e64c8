#pragma once

#include <string>
#include <vector>

#include "host/weights/pth.h"

namespace dnc {

/// What becomes of a head whose weights are for another number of classes: it stays as it is, to be
/// trained, or that is an error, for a model that is to be used at once.
enum class OtherClasses { kKeepOurs, kRefuse };

/// Copies weights of any origin into the state of a model, in place and without gradients, and says
/// what was done: one line and, where something is left out, a table below it.
///
/// Names of other programs become ours first, see KeyMaps. Then each tensor of the model needs one
/// of the file, of its shape and kind of number (any kind of float will do), and the other way
/// round. What differs is an error, and nothing is changed, but for
/// - names that fit one of the patterns in `allow` ("head.*"): the model's tensor stays as it is;
/// - tensors that a table resizes for a model of another image or window size;
/// - tensors of the head of another number of classes, [classes there, ...] for [classes here,
/// ...], unless `other_classes` refuses them;
/// - tensors of auxiliary heads, where the model has none at all;
/// - counters of batch norm (num_batches_tracked), which files before PyTorch 0.4.1 lack.
///
/// Throws CheckpointError with the table of all that differs, also for a pattern in `allow` that no
/// name fits.
std::string start_from_weights(const TensorMap& model, const ForeignWeights& weights,
                               const std::vector<std::string>& allow,
                               OtherClasses other_classes = OtherClasses::kKeepOurs);

}  // namespace dnc
