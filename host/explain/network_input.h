#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "registry/dataset.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// An image as a network gets it.
struct NetworkInput {
  torch::Tensor images;  // [1, 3, H, W], bytes or normalised floats, on the CPU
  Image picture;         // the same to look at: bytes, H x W
};

/// Sample `index` of a data set through the transforms of a test. Throws DataError, which begins
/// with the name of the sample.
NetworkInput network_input(const Dataset& dataset,
                           const std::vector<std::shared_ptr<const Transform>>& transforms,
                           int64_t index, uint64_t seed);

}  // namespace dnc
