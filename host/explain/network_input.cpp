#include "host/explain/network_input.h"

#include <optional>
#include <string_view>
#include <utility>

#include "host/data/batch.h"
#include "host/data/byte_scale.h"
#include "registry/error.h"
#include "registry/random.h"

namespace dnc {
namespace {

// Floats are shown in their own colours: whatever made floats of bytes is undone.
Image apply(const std::vector<std::shared_ptr<const Transform>>& transforms, Sample& sample,
            Random& random) {
  std::optional<ByteScale> scale;
  for (const auto& transform : transforms) {
    const auto before = sample.image;
    transform->apply(sample, random);
    if (sample.image.is_float() && !scale) {
      std::as_const(before).pixels();
      scale.emplace(before, sample.image);
    }
  }
  if (sample.image.is_float()) return scale->to_bytes(sample.image);
  std::as_const(sample.image).pixels();
  return sample.image;
}

}  // namespace

NetworkInput network_input(const Dataset& dataset,
                           const std::vector<std::shared_ptr<const Transform>>& transforms,
                           int64_t index, uint64_t seed) {
  try {
    auto sample = dataset.load(index);
    sample.index = index;
    Random random(seed, Purpose::kAugment, 0, static_cast<uint64_t>(index));
    NetworkInput input;
    input.picture = apply(transforms, sample, random);
    BatchBuilder builder(dataset, 1, /*pin=*/false, /*free_label_size=*/true);
    builder.add(sample);
    input.images = builder.finish().images;
    return input;
  } catch (const DataError& error) {
    const auto name = dataset.name(index);
    if (std::string_view(error.what()).starts_with(name)) throw;
    throw DataError(name + ": " + error.what());
  }
}

}  // namespace dnc
