#pragma once

#include <cstdint>
#include <vector>

#include "registry/backbone.h"
#include "registry/communicator.h"
#include "registry/dataset.h"
#include "registry/export.h"

namespace dnc {

class Registry;

/// What the host knows when it builds a component, as far as it is known by then. A config repeats
/// none of it; where it does (`num_classes`, `in_channels`) and differs, that is an error.
struct Context {
  const Registry* registry = nullptr;   // for components inside components: Slot::build
  const ImageReader* images = nullptr;  // for data sets
  Communicator* ranks = nullptr;        // for modules that compute over all ranks; null: one rank
  Task task = Task::kImages;
  ClassInfo classes;                   // from the training data on
  std::vector<FeatureShape> features;  // of the backbone, for the decode head
  int64_t channels = 0;                // D of the embeddings, for the head
  uint64_t seed = 0;
  struct {
    int64_t steps = 0;  // optimizer steps in all
    int64_t steps_per_epoch = 0;
    int64_t batch_size = 0;  // samples a step, over all ranks
  } run;                     // for schedules and hooks
};

}  // namespace dnc
