#include "plugins/transforms/geometry/random_resized_crop.h"

#include <algorithm>
#include <cmath>

#include "plugins/transforms/common/sample.h"

namespace dnc {

void RandomResizedCrop::Options::fields(Fields& f) {
  f("size", size, "Height and width after it: one number for a square, or [height, width].")
      .required()
      .length(1, 2)
      .at_least(1);
  f("scale", scale, "Smallest and largest share of the image's area.")
      .length(2, 2)
      .above(0)
      .alias("crop_ratio_range");
  f("ratio", ratio, "Smallest and largest width over height, before resizing.")
      .length(2, 2)
      .above(0)
      .alias("aspect_ratio_range");
  interpolation_field(f, interpolation);
  decoding_field(f, decoding);
}

RandomResizedCrop::RandomResizedCrop(const Options& options) : options_(options) {
  check_range("scale", options.scale);
  check_range("ratio", options.ratio);
}

void RandomResizedCrop::apply(Sample& sample, Random& random) const {
  crop(sample, choose(sample.image.height(), sample.image.width(), random));
  resize(sample, to_size(options_.size), options_.interpolation, options_.decoding);
}

Box RandomResizedCrop::choose(int64_t height, int64_t width, Random& random) const {
  constexpr int kTries = 10;
  const double area = static_cast<double>(height) * static_cast<double>(width);
  for (int i = 0; i < kTries; ++i) {
    const double part = area * random.uniform(options_.scale[0], options_.scale[1]);
    const double ratio =
        std::exp(random.uniform(std::log(options_.ratio[0]), std::log(options_.ratio[1])));
    const auto part_width = std::llrint(std::sqrt(part * ratio));
    const auto part_height = std::llrint(std::sqrt(part / ratio));
    if (part_width < 1 || part_width > width || part_height < 1 || part_height > height) continue;
    const int64_t top = random.integer(0, height - part_height + 1);
    const int64_t left = random.integer(0, width - part_width + 1);
    return {top, left, part_height, part_width};
  }
  return choose_centre(height, width);
}

// The largest part in the middle whose shape is allowed.
Box RandomResizedCrop::choose_centre(int64_t height, int64_t width) const {
  const auto [narrowest, widest] = std::minmax(options_.ratio[0], options_.ratio[1]);
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  Box box{0, 0, height, width};
  if (ratio < narrowest) {
    box.height = std::llrint(static_cast<double>(width) / narrowest);
  } else if (ratio > widest) {
    box.width = std::llrint(static_cast<double>(height) * widest);
  }
  box.height = std::clamp<int64_t>(box.height, 1, height);
  box.width = std::clamp<int64_t>(box.width, 1, width);
  box.top = (height - box.height) / 2;
  box.left = (width - box.width) / 2;
  return box;
}

}  // namespace dnc
