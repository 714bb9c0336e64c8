#include "plugins/transforms/geometry/center_crop.h"

#include <algorithm>
#include <cmath>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {
namespace {

// Where a crop of `size` begins. An odd pixel too many goes to the even side, as Python rounds; one
// that is missing is added at the end.
int64_t find_begin(int64_t image, int64_t size) {
  if (size > image) return -((size - image) / 2);
  return std::llrint(static_cast<double>(image - size) / 2);
}

}  // namespace

void CenterCrop::Options::fields(Fields& f) {
  f("size", size, "Height and width of the crop: one number for a square, or [height, width].")
      .required()
      .length(1, 2)
      .at_least(1)
      .alias("crop_size");
  f("crop_padding", crop_padding,
    "Take the middle square of size / (size + crop_padding) of the shorter side, and resize it to "
    "`size`; 32 for EfficientNets. 0 = crop without resizing.")
      .at_least(0);
  interpolation_field(f, interpolation);
}

CenterCrop::CenterCrop(const Options& options) : options_(options) {
  if (options.crop_padding > 0 && options.size.size() == 2) {
    throw OptionError("crop_padding", "takes a square; give one number as `size`");
  }
}

void CenterCrop::apply(Sample& sample, Random&) const {
  if (options_.crop_padding > 0) return crop_square(sample);
  const Size size = to_size(options_.size);
  const int64_t top = find_begin(sample.image.height(), size.height);
  const int64_t left = find_begin(sample.image.width(), size.width);
  crop(sample, {top, left, size.height, size.width}, Border{});
}

// The size is cut to a whole number, and where it begins is rounded, as in mmpretrain.
void CenterCrop::crop_square(Sample& sample) const {
  const auto height = static_cast<double>(sample.image.height());
  const auto width = static_cast<double>(sample.image.width());
  const Size size = to_size(options_.size);
  const auto share =
      static_cast<double>(size.height) / static_cast<double>(size.height + options_.crop_padding);
  const double side = std::max(std::min(height, width) * share, 1.0);
  const auto whole = static_cast<int64_t>(side);
  crop(sample, {std::llrint((height - side) / 2), std::llrint((width - side) / 2), whole, whole});
  resize(sample, size, options_.interpolation);
}

}  // namespace dnc
