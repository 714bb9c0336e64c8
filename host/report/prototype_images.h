#pragma once

#include <filesystem>
#include <functional>

#include "host/run.h"

namespace dnc {

/// Finds for each prototype of a run's head the nearest real training image of its class (the
/// image that a sub-centroid stands for), in one pass over the training data with the test
/// transforms, and writes prototypes.json into the run's folder. Does nothing for a head without
/// prototypes. `progress` gets (batches done, batches in all).
void write_prototype_images(OpenedRun& run, const std::function<void(int64_t, int64_t)>& progress);

}  // namespace dnc
