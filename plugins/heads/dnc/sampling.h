#pragma once

#include <torch/types.h>

namespace dnc {

/// Picks at most `count` samples of each class at random: labels int64 [R], of which negative ones
/// do not count, to places 0..R-1, int64 [min(R, classes * count)], with -1 at the end where fewer
/// are picked. The size is known without asking the device, and the same seed picks the same on
/// every device and in every run.
torch::Tensor pick_of_each_class(const torch::Tensor& labels, int64_t classes, int64_t count,
                                 uint64_t seed);

}  // namespace dnc
