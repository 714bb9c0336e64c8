#include "plugins/transforms/color/random_grayscale.h"

#include "plugins/transforms/common/photometric.h"

namespace dnc {

void RandomGrayscale::Options::fields(Fields& f) {
  f("probability", probability, "Share of the images that become gray.")
      .between(0, 1)
      .alias("prob")
      .alias("gray_prob");
}

void RandomGrayscale::apply(Sample& sample, Random& random) const {
  if (random.chance(probability_)) remove_color(sample.image);
}

}  // namespace dnc
