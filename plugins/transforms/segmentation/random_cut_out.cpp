#include "plugins/transforms/segmentation/random_cut_out.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {
namespace {

void fill_box(Image& image, const Box& box, const std::array<float, 3>& fill) {
  const int64_t channels = image.channels();
  uint8_t* const pixels = image.pixels();
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    uint8_t* const row = pixels + (y * image.width() + box.left) * channels;
    for (int64_t i = 0; i < box.width * channels; ++i) {
      row[i] = static_cast<uint8_t>(std::lround(fill[static_cast<size_t>(i % channels)]));
    }
  }
}

}  // namespace

void RandomCutOut::Options::fields(Fields& f) {
  f("probability", probability, "Share of the images that get holes.").between(0, 1).alias("prob");
  f("holes", holes, "Number of holes, or the smallest and the largest one.")
      .length(1, 2)
      .at_least(1)
      .alias("n_holes");
  f("size", size, "[height, width] of a hole in pixels; one number is a square.")
      .length(0, 2)
      .at_least(1);
  f("share", share, "The same as shares of the image's height and width.")
      .length(0, 2)
      .above(0)
      .at_most(1);
  f("fill", fill, "Value of the holes: one number, or one each for red, green and blue.")
      .length(1, 3)
      .between(0, 255)
      .alias("fill_in");
  f("label_fill", label_fill, "Label of the holes, 255 = ignored; none = the labels stay.")
      .between(0, 255)
      .alias("seg_fill_in");
}

RandomCutOut::RandomCutOut(const Options& options) : options_(options) {
  check_channels("fill", options.fill);
  if (options.holes.front() > options.holes.back()) {
    throw OptionError("holes", "must be [low, high], with low not above high");
  }
  if (options.size.empty() == options.share.empty()) {
    throw OptionError("size", "or `share` must be given, and not both");
  }
}

void RandomCutOut::apply(Sample& sample, Random& random) const {
  if (!random.chance(options_.probability)) return;
  const int64_t count = random.integer(options_.holes.front(), options_.holes.back() + 1);
  for (int64_t i = 0; i < count; ++i) {
    const Box hole = choose(sample.image.height(), sample.image.width(), random);
    fill_box(sample.image, hole, to_channels(options_.fill));
    if (sample.labels.empty() || !options_.label_fill) continue;
    std::array<float, 3> label{};
    label.fill(static_cast<float>(*options_.label_fill));
    fill_box(sample.labels, hole, label);
  }
}

Box RandomCutOut::choose(int64_t height, int64_t width, Random& random) const {
  const int64_t left = random.integer(0, width);
  const int64_t top = random.integer(0, height);
  const auto part = [](double share, int64_t length) {
    return static_cast<int64_t>(share * static_cast<double>(length));
  };
  const int64_t hole_height =
      options_.size.empty() ? part(options_.share.front(), height) : options_.size.front();
  const int64_t hole_width =
      options_.size.empty() ? part(options_.share.back(), width) : options_.size.back();
  return {top, left, std::min(hole_height, height - top), std::min(hole_width, width - left)};
}

}  // namespace dnc
