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

Size fit_edge(int64_t height, int64_t width, int64_t size, Resize::Edge edge) {
  const bool by_height =
      edge == Resize::Edge::kHeight || (edge == Resize::Edge::kLong && height >= width);
  return by_height ? Size{size, std::max<int64_t>(size * width / height, 1)}
                   : Size{std::max<int64_t>(size * height / width, 1), size};
}

}  // namespace

void Resize::Options::fields(Fields& f) {
  f("size", size,
    "[height, width], or one number: then one side becomes that long, and the other one follows.")
      .required()
      .length(1, 2)
      .at_least(1);
  f.choice("edge", edge,
           {{"short", Edge::kShort},
            {"long", Edge::kLong},
            {"height", Edge::kHeight},
            {"width", Edge::kWidth}},
           "With one number as size: the side that it is for.")
      .alias("adaptive_side");
  f("max_size", max_size,
    "With one number as size for the shorter side: the longer side becomes at most that long; 0 = "
    "any length.")
      .at_least(0);
  f("resize_labels", resize_labels,
    "Pixels: whether the label image is resized, too. For evaluation at the original size it is "
    "not: "
    "then the scores are brought to the size of the labels.");
  interpolation_field(f, interpolation);
  decoding_field(f, decoding);
}

Resize::Resize(const Options& options) : options_(options) {
  if (options.edge != Edge::kShort && options.size.size() == 2) {
    throw OptionError("edge", "has no meaning with `size: [height, width]`; leave it out");
  }
  if (options.edge != Edge::kShort && options.max_size > 0) {
    throw OptionError("max_size", "is for `edge: short`; leave one of them out");
  }
  if (options.max_size == 0) return;
  if (options.size.size() == 2) {
    throw OptionError("max_size", "has no meaning with `size: [height, width]`; leave it out");
  }
  if (options.max_size <= options.size[0]) {
    throw OptionError("max_size", "must be larger than `size`, the length of the shorter side");
  }
}

void Resize::apply(Sample& sample, Random&) const {
  auto& image = sample.image;
  const Size size = find_size(image.height(), image.width());
  if (options_.resize_labels) {
    resize(sample, size, options_.interpolation, options_.decoding);
  } else {
    image = image.resize(size.height, size.width, options_.interpolation, options_.decoding);
  }
}

Size Resize::find_size(int64_t height, int64_t width) const {
  if (options_.size.size() == 2) return to_size(options_.size);
  const int64_t size = options_.size[0];
  if (options_.edge == Edge::kShort) return fit_short_side(height, width, size, options_.max_size);
  return fit_edge(height, width, size, options_.edge);
}

}  // namespace dnc
