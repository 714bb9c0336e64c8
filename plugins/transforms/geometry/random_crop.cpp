#include "plugins/transforms/geometry/random_crop.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

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
  border_fields(f, fill, padding_mode);
  f("cat_max_ratio", cat_max_ratio,
    "For labelled pixels: another place is tried, up to ten times, while one class has this share "
    "of the pixels that are not ignored, or more; 1 = any place will do.")
      .above(0)
      .at_most(1);
}

RandomCrop::RandomCrop(const Options& options)
    : height_(to_size(options.size).height),
      width_(to_size(options.size).width),
      padding_(to_padding(options.padding)),
      pad_if_needed_(options.pad_if_needed),
      cat_max_ratio_(options.cat_max_ratio),
      border_(to_border(options.fill, options.padding_mode)) {}

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
  const auto choose = [&]() -> Box {
    const int64_t top = random.integer(0, height - height_ + 1) - padding.top;
    const int64_t left = random.integer(0, width - width_ + 1) - padding.left;
    return {top, left, height_, width_};
  };
  Box box = choose();
  if (cat_max_ratio_ < 1 && !sample.labels.empty()) {
    constexpr int kTries = 10;
    for (int i = 0; i < kTries && !is_mixed(sample.labels, box); ++i) box = choose();
  }
  crop(sample, box, border_);
}

bool RandomCrop::is_mixed(const Image& labels, const Box& box) const {
  const int64_t bottom = std::min(box.top + box.height, labels.height());
  const int64_t right = std::min(box.left + box.width, labels.width());
  std::array<int64_t, 256> counts{};
  for (int64_t y = std::max<int64_t>(box.top, 0); y < bottom; ++y) {
    const uint8_t* const row = labels.pixels() + y * labels.width();
    for (int64_t x = std::max<int64_t>(box.left, 0); x < right; ++x) ++counts[row[x]];
  }
  counts[kIgnoredPixel] = 0;
  const int64_t all = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  const int64_t most = *std::max_element(counts.begin(), counts.end());
  return most < all && static_cast<double>(most) < cat_max_ratio_ * static_cast<double>(all);
}

}  // namespace dnc
