#include "plugins/transforms/geometry/pad.h"

#include <algorithm>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {

void Pad::Options::fields(Fields& f) {
  f("padding", padding,
    "Pixels added: one number, [left and right, top and bottom], or [left, top, right, bottom].")
      .length(0, 4)
      .at_least(0);
  f("size", size,
    "Height and width to fill up to, at the right and at the bottom: one number for a square, or "
    "[height, width]. A larger side stays as it is.")
      .length(0, 2)
      .at_least(1);
  f("size_divisor", size_divisor, "Fill up until both sides are multiples of this; 0 = no.")
      .between(0, 1 << 16);
  f("pad_to_square", pad_to_square, "Fill the shorter side up to the longer one.");
  border_fields(f, fill, padding_mode);
}

Pad::Pad(const Options& options)
    : options_(options), border_(to_border(options.fill, options.padding_mode)) {
  const int given = (options.padding.empty() ? 0 : 1) + (options.size.empty() ? 0 : 1) +
                    (options.size_divisor > 0 ? 1 : 0) + (options.pad_to_square ? 1 : 0);
  if (given != 1) {
    throw OptionError(
        "padding", "or `size`, `size_divisor` or `pad_to_square`: give one of them, and only one");
  }
  if (!options.padding.empty()) to_padding(options.padding);  // checks it
}

void Pad::apply(Sample& sample, Random&) const {
  const int64_t height = sample.image.height();
  const int64_t width = sample.image.width();
  const Padding padding = find_padding(height, width);
  crop(sample,
       {-padding.top, -padding.left, height + padding.top + padding.bottom,
        width + padding.left + padding.right},
       border_);
}

Padding Pad::find_padding(int64_t height, int64_t width) const {
  if (!options_.padding.empty()) return to_padding(options_.padding);
  Size size{height, width};
  if (options_.pad_to_square) {
    size.height = size.width = std::max(height, width);
  } else if (options_.size_divisor > 0) {
    const auto fill_up = [divisor = options_.size_divisor](int64_t side) {
      return (side + divisor - 1) / divisor * divisor;
    };
    size = {fill_up(height), fill_up(width)};
  } else {
    const Size wanted = to_size(options_.size);
    size = {std::max(height, wanted.height), std::max(width, wanted.width)};
  }
  return {0, 0, size.width - width, size.height - height};
}

}  // namespace dnc
