#pragma once

#include <string>
#include <vector>

#include "host/weights/pth.h"
#include "host/weights/weight_differences.h"

namespace dnc {

/// Copies weights of any origin into the state of a model, in place and without gradients, and says
/// what was done: one line and, where something is left out, a table below it.
///
/// Names of other programs become ours first, see KeyMaps. Then each tensor of `part` of the model
/// needs one of the file, of its shape and kind of number (any kind of float will do), and the
/// other way round. What differs is an error, and nothing is changed, but for
/// - what compare_weights() allows, such as a head of other classes in a model that is to be
///   trained: the model's tensor stays as it is;
/// - names that fit one of the patterns in `allow` ("head.*"): the same;
/// - tensors that a table resizes for a model of another image or window size.
///
/// Throws CheckpointError with the table of all that differs, also for a pattern in `allow` that no
/// name fits.
std::string start_from_weights(const TensorMap& model, const ForeignWeights& weights,
                               const std::vector<std::string>& allow,
                               LoadPart part = LoadPart::kAll);

}  // namespace dnc
