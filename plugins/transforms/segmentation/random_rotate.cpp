#include "plugins/transforms/segmentation/random_rotate.h"

#include "plugins/transforms/common/affine.h"
#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {

void RandomRotate::Options::fields(Fields& f) {
  f("probability", probability, "Share of the images that are turned.").between(0, 1).alias("prob");
  f("degree", degree, "Largest angle to either side, or [low, high]; clockwise where positive.")
      .required()
      .length(1, 2)
      .between(-360, 360);
  f("fill", fill, "Value of added pixels: one number, or one each for red, green and blue.")
      .length(1, 3)
      .between(0, 255)
      .alias("pad_val");
  f.choice(
      "interpolation", interpolation,
      {{"nearest", Interpolation::kNearest},
       {"bilinear", Interpolation::kBilinear},
       {"bicubic", Interpolation::kBicubic}},
      "How the image's new pixels are found, as Pillow's rotate; labels are always 'nearest'.");
}

RandomRotate::RandomRotate(const Options& options) : options_(options) {
  check_channels("fill", options.fill);
  if (options.degree.size() == 2) {
    check_range("degree", options.degree);
    low_ = options.degree[0];
    high_ = options.degree[1];
    return;
  }
  if (options.degree[0] < 0) {
    throw OptionError("degree", "must not be negative as one number; for a range give [low, high]");
  }
  low_ = -options.degree[0];
  high_ = options.degree[0];
}

void RandomRotate::apply(Sample& sample, Random& random) const {
  if (!random.chance(options_.probability)) return;
  const double clockwise = random.uniform(low_, high_);
  const auto turn = rotate(-clockwise, sample.image.height(), sample.image.width());
  warp(sample, turn, options_.interpolation, to_channels(options_.fill));
}

}  // namespace dnc
