#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "registry/batch_transform.h"
#include "tests/plugins/component.h"

namespace dnc {

inline Context classes_context(int64_t classes, Task task = Task::kImages) {
  Context context;
  context.task = task;
  for (int64_t i = 0; i < classes; ++i) context.classes.names.push_back(std::to_string(i));
  return context;
}

/// Images [N, 3, H, W] as a loader lays them out, with labels.
inline Batch labelled(const torch::Tensor& images, std::vector<int64_t> labels) {
  Batch batch;
  batch.images = images.contiguous(torch::MemoryFormat::ChannelsLast);
  batch.labels = torch::tensor(labels);
  batch.indices.resize(labels.size());
  return batch;
}

/// The random numbers of a step.
inline Random of_step(uint64_t step, uint64_t seed = 1) {
  return Random(seed, Purpose::kAugment, 0, step);
}

inline Batch apply(const BatchTransform& transform, Batch batch, uint64_t step = 0) {
  auto random = of_step(step);
  transform.apply(batch, random);
  return batch;
}

}  // namespace dnc
