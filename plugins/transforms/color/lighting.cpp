#include "plugins/transforms/color/lighting.h"

#include <array>

#include "plugins/transforms/common/photometric.h"

namespace dnc {

void Lighting::Options::fields(Fields& f) {
  f("deviation", deviation, "Standard deviation of the three random weights.")
      .at_least(0)
      .alias("alphastd");
  f("eigenvalues", eigenvalues, "Of the colours' covariance, square root, for white = 255.")
      .length(3, 3)
      .at_least(0)
      .alias("eigval");
  f("eigenvectors", eigenvectors,
    "Nine numbers: three for red (one for each eigenvalue), three for green, three for blue.")
      .length(9, 9);
}

void Lighting::apply(Sample& sample, Random& random) const {
  std::array<double, 3> addends{};
  for (size_t i = 0; i < 3; ++i) {
    const double weight = options_.deviation * random.normal() * options_.eigenvalues[i];
    for (size_t c = 0; c < 3; ++c) addends[c] += weight * options_.eigenvectors[3 * c + i];
  }
  sample.image = sample.image.to_channels(3);
  add(sample.image, addends);
}

}  // namespace dnc
