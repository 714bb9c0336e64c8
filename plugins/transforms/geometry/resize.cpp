#include "plugins/transforms/geometry/resize.h"

#include <algorithm>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {
namespace {

// Sizes are cut to whole numbers, not rounded.
Size fit_short_side(int64_t height, int64_t width, int64_t size, int64_t max_size) {
  const auto [shorter, longer] = std::minmax(height, width);
  int64_t new_shorter = size;
  int64_t new_longer = size * longer / shorter;
  if (max_size > 0 && new_longer > max_size) {
    new_shorter = std::max<int64_t>(max_size * new_shorter / new_longer, 1);
    new_longer = max_size;
  }
  return height <= width ? Size{new_shorter, new_longer} : Size{new_longer, new_shorter};
}

}  // namespace

void Resize::Options::fields(Fields& f) {
  f("size", size,
    "[height, width], or one number: then the shorter side becomes that long, and the longer one "
    "follows.")
      .required()
      .length(1, 2)
      .at_least(1);
  f("max_size", max_size,
    "With one number as size: the longer side becomes at most that long; 0 = any length.")
      .at_least(0);
  interpolation_field(f, interpolation);
}

Resize::Resize(const Options& options) : options_(options) {
  if (options.max_size == 0) return;
  if (options.size.size() == 2) {
    throw OptionError("max_size", "has no meaning with `size: [height, width]`; leave it out");
  }
  if (options.max_size <= options.size[0]) {
    throw OptionError("max_size", "must be larger than `size`, the length of the shorter side");
  }
}

void Resize::apply(Sample& sample, Random&) const {
  const auto& image = sample.image;
  const Size size = options_.size.size() == 2 ? to_size(options_.size)
                                              : fit_short_side(image.height(), image.width(),
                                                               options_.size[0], options_.max_size);
  resize(sample, size, options_.interpolation);
}

}  // namespace dnc
