#include "plugins/transforms/geometry/random_flip.h"

namespace dnc {

void RandomFlip::Options::fields(Fields& f) {
  f("probability", probability, "Share of the images that are mirrored.")
      .between(0, 1)
      .alias("prob")
      .alias("flip_prob");
}

void RandomFlip::apply(Sample& sample, Random& random) const {
  if (!random.chance(probability_)) return;
  sample.image = sample.image.flip();
  if (!sample.labels.empty()) sample.labels = sample.labels.flip();
}

}  // namespace dnc
