#include "plugins/transforms/pixels/random_erasing.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "plugins/transforms/common/sample.h"

namespace dnc {
namespace {

// Of an image of bytes any byte, of a float one the normal distribution.
template <typename T>
void fill_random(T* values, int64_t count, Random& random) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    uint32_t word = 0;
    for (int64_t i = 0; i < count; ++i, word >>= 8) {
      if (i % 4 == 0) word = random();
      values[i] = static_cast<uint8_t>(word);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) values[i] = static_cast<float>(random.normal());
  }
}

template <typename T>
void fill_constant(T* values, int64_t count, int64_t channels, const std::array<float, 3>& fill) {
  for (int64_t i = 0; i < count; ++i) {
    const float value = fill[static_cast<size_t>(i % channels)];
    values[i] = static_cast<T>(std::is_same_v<T, uint8_t> ? std::round(value) : value);
  }
}

template <typename T>
void erase(T* values, int64_t width, int64_t channels, const Box& box,
           const RandomErasing::Options& options, Random& random) {
  const auto fill = to_channels(options.fill);
  const int64_t count = box.width * channels;
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    T* const row = values + (y * width + box.left) * channels;
    if (options.mode == RandomErasing::Mode::kRandom) {
      fill_random(row, count, random);
    } else {
      fill_constant(row, count, channels, fill);
    }
  }
}

}  // namespace

void RandomErasing::Options::fields(Fields& f) {
  f("probability", probability, "Share of the images of which a part is erased.")
      .between(0, 1)
      .alias("erase_prob");
  f("area", area, "Smallest and largest share of the image's area.")
      .length(2, 2)
      .above(0)
      .at_most(1)
      .alias("scale");
  f("ratio", ratio, "Smallest and largest height over width.")
      .length(2, 2)
      .above(0)
      .alias("aspect_range");
  f.choice("mode", mode, {{"constant", Mode::kConstant}, {"random", Mode::kRandom}},
           "With what: `fill`, or noise (any byte; behind Normalize the normal distribution).");
  f("fill", fill,
    "One number, or one each for red, green and blue; the mean of the data set is usual. Behind "
    "Normalize that is 0.")
      .length(1, 3)
      .between(0, 255)
      .alias("fill_color");
}

RandomErasing::RandomErasing(const Options& options) : options_(options) {
  check_range("area", options.area);
  check_range("ratio", options.ratio);
  check_channels("fill", options.fill);
}

void RandomErasing::apply(Sample& sample, Random& random) const {
  if (!random.chance(options_.probability)) return;
  auto& image = sample.image;
  const auto box = choose(image.height(), image.width(), random);
  if (!box) return;
  if (image.is_float()) {
    erase(image.floats(), image.width(), image.channels(), *box, options_, random);
  } else {
    erase(image.pixels(), image.width(), image.channels(), *box, options_, random);
  }
}

std::optional<Box> RandomErasing::choose(int64_t height, int64_t width, Random& random) const {
  constexpr int kTries = 10;
  const double area = static_cast<double>(height) * static_cast<double>(width);
  for (int i = 0; i < kTries; ++i) {
    const double part = area * random.uniform(options_.area[0], options_.area[1]);
    const double ratio =
        std::exp(random.uniform(std::log(options_.ratio[0]), std::log(options_.ratio[1])));
    const auto part_height = std::llrint(std::sqrt(part * ratio));
    const auto part_width = std::llrint(std::sqrt(part / ratio));
    if (part_height >= height || part_width >= width) continue;
    const int64_t top = random.integer(0, height - part_height + 1);
    const int64_t left = random.integer(0, width - part_width + 1);
    return Box{top, left, part_height, part_width};
  }
  return std::nullopt;
}

}  // namespace dnc
