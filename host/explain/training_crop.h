#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "registry/dataset.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// The surroundings of a location of a training image, as the network sees it: a square of a third
/// of its shorter side, with the location marked, in the middle but at the image's edge. `x` and
/// `y` are shares of the network's input, 0 to 1. Throws DataError.
Image training_crop(const Dataset& dataset,
                    const std::vector<std::shared_ptr<const Transform>>& transforms, int64_t sample,
                    double x, double y);

}  // namespace dnc
