#include "plugins/transforms/geometry/random_crop.h"

#include <fmt/format.h>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {

void RandomCrop::Options::fields(Fields& f) {
  f("size", size, "Height and width of the crop: one number for a square, or [height, width].")
      .required()
      .length(1, 2)
      .at_least(1)
      .alias("crop_size");
  f("padding", padding,
    "Pixels added around the image first: one number, [left and right, top and bottom], or [left, "
    "top, right, bottom].")
      .length(1, 4)
      .at_least(0);
  f("pad_if_needed", pad_if_needed,
    "Add what an image lacks to the size of the crop, on each side.");
  f("fill", fill, "Value of added pixels: one number, or one each for red, green and blue.")
      .length(1, 3)
      .between(0, 255)
      .alias("pad_val");
  f.choice("padding_mode", padding_mode,
           {{"constant", Border::Mode::kConstant},
            {"reflect", Border::Mode::kReflect},
            {"edge", Border::Mode::kEdge}},
           "What is added: `fill`, the image mirrored at its outermost pixels, or those repeated.");
}

RandomCrop::Padding RandomCrop::to_padding(const std::vector<int64_t>& numbers) {
  switch (numbers.size()) {
    case 1:
      return {numbers[0], numbers[0], numbers[0], numbers[0]};
    case 2:
      return {numbers[0], numbers[1], numbers[0], numbers[1]};
    case 4:
      return {numbers[0], numbers[1], numbers[2], numbers[3]};
    default:
      throw OptionError("padding",
                        fmt::format("has {} numbers; give one, two or four", numbers.size()));
  }
}

RandomCrop::RandomCrop(const Options& options)
    : height_(to_size(options.size).height),
      width_(to_size(options.size).width),
      padding_(to_padding(options.padding)),
      pad_if_needed_(options.pad_if_needed) {
  check_channels("fill", options.fill);
  border_ = {options.padding_mode, to_channels(options.fill)};
}

void RandomCrop::apply(Sample& sample, Random& random) const {
  Padding padding = padding_;
  int64_t height = sample.image.height() + padding.top + padding.bottom;
  int64_t width = sample.image.width() + padding.left + padding.right;
  const int64_t missing_height = std::max<int64_t>(height_ - height, 0);
  const int64_t missing_width = std::max<int64_t>(width_ - width, 0);
  if (missing_height + missing_width > 0) {
    if (!pad_if_needed_) {
      throw DataError(fmt::format(
          "its image is {} x {} pixels with padding, smaller than the crop of {} x {} (height x "
          "width); set `pad_if_needed: true` in RandomCrop, or resize before it",
          height, width, height_, width_));
    }
    // On both sides, so that the image may end up at either end of the crop.
    padding.top += missing_height;
    padding.left += missing_width;
    height += 2 * missing_height;
    width += 2 * missing_width;
  }
  const int64_t top = random.integer(0, height - height_ + 1) - padding.top;
  const int64_t left = random.integer(0, width - width_ + 1) - padding.left;
  crop(sample, {top, left, height_, width_}, border_);
}

}  // namespace dnc
