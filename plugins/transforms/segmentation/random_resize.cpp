#include "plugins/transforms/segmentation/random_resize.h"

#include <algorithm>

namespace dnc {

void RandomResize::Options::fields(Fields& f) {
  f("scale", scale,
    "Two lengths in pixels: with `keep_ratio` what the longer and the shorter side are to fit into "
    "(in any order), else [width, height], as in mmsegmentation.")
      .required()
      .length(2, 2)
      .at_least(1)
      .alias("img_scale");
  f("ratio_range", ratio_range, "Smallest and largest factor on `scale`.").length(2, 2).above(0);
  f("keep_ratio", keep_ratio, "Keep the shape of the image.");
  interpolation_field(f, interpolation);
}

RandomResize::RandomResize(const Options& options) : options_(options) {
  check_range("ratio_range", options.ratio_range);
}

void RandomResize::apply(Sample& sample, Random& random) const {
  const double ratio = random.uniform(options_.ratio_range[0], options_.ratio_range[1]);
  resize(sample, choose(sample.image.height(), sample.image.width(), ratio),
         options_.interpolation);
}

Size RandomResize::choose(int64_t height, int64_t width, double ratio) const {
  // Cut to whole numbers here, and rounded below: as mmcv has it.
  const auto scaled = [&](size_t i) {
    return std::max<int64_t>(static_cast<int64_t>(static_cast<double>(options_.scale[i]) * ratio),
                             1);
  };
  if (!options_.keep_ratio) return {scaled(1), scaled(0)};
  const auto [shorter, longer] = std::minmax({scaled(0), scaled(1)});
  const double factor =
      std::min(static_cast<double>(longer) / static_cast<double>(std::max(height, width)),
               static_cast<double>(shorter) / static_cast<double>(std::min(height, width)));
  const auto round = [&](int64_t length) {
    return std::max<int64_t>(static_cast<int64_t>(static_cast<double>(length) * factor + 0.5), 1);
  };
  return {round(height), round(width)};
}

}  // namespace dnc
