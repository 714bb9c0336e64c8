#include "plugins/transforms/geometry/center_crop.h"

#include <cmath>

#include "plugins/transforms/common/sample.h"

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
}

void CenterCrop::apply(Sample& sample, Random&) const {
  const Size size = to_size(size_);
  const int64_t top = find_begin(sample.image.height(), size.height);
  const int64_t left = find_begin(sample.image.width(), size.width);
  crop(sample, {top, left, size.height, size.width}, Border{});
}

}  // namespace dnc
