#include "plugins/transforms/segmentation/photometric_distortion.h"

#include <algorithm>
#include <array>

#include "plugins/transforms/common/photometric.h"
#include "plugins/transforms/common/rgb_block.h"
#include "plugins/transforms/common/sample.h"

namespace dnc {
namespace {

#ifdef __x86_64__
[[gnu::target_clones("avx2", "default")]]
#endif
void scale_saturation(RgbBlock& block, double factor) {
  for (int64_t i = 0; i < RgbBlock::kPixels; ++i) {
    const int32_t red = block.red[i], green = block.green[i], blue = block.blue[i];
    const int32_t value = std::max(red, std::max(green, blue));
    const int32_t range = value - std::min(red, std::min(green, blue));
    // A channel lies below the value by a share that is proportional to the saturation, and the
    // lowest cannot fall below 0.
    const double most = static_cast<double>(value) / std::max(range, 1);
    const double scale = std::min(factor, most);
    block.red[i] = round_positive(value - (value - red) * scale);
    block.green[i] = round_positive(value - (value - green) * scale);
    block.blue[i] = round_positive(value - (value - blue) * scale);
  }
}

}  // namespace

void scale_and_shift(Image& image, double factor, double addend) {
  std::array<uint8_t, 256> table;
  for (size_t i = 0; i < table.size(); ++i) {  // in float32, as NumPy does it
    const float value =
        static_cast<float>(i) * static_cast<float>(factor) + static_cast<float>(addend);
    table[i] = static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
  }
  uint8_t* const bytes = image.pixels();
  for (int64_t i = 0; i < image.size(); ++i) bytes[i] = table[bytes[i]];
}

void scale_saturation(Image& image, double factor) {
  if (image.channels() == 1) return;
  change_blocks(image, [&](RgbBlock& block) { scale_saturation(block, factor); });
}

void PhotometricDistortion::Options::fields(Fields& f) {
  f("brightness_delta", brightness_delta, "Largest number that is added or taken away.")
      .between(0, 255);
  f("contrast_range", contrast_range, "Smallest and largest factor on all values.")
      .length(2, 2)
      .at_least(0);
  f("saturation_range", saturation_range, "Smallest and largest factor on the saturation.")
      .length(2, 2)
      .at_least(0);
  f("hue_delta", hue_delta, "Largest turn of the colour circle, in steps of 2 degrees.")
      .between(0, 90);
}

PhotometricDistortion::PhotometricDistortion(const Options& options) : options_(options) {
  check_range("contrast_range", options.contrast_range);
  check_range("saturation_range", options.saturation_range);
}

void PhotometricDistortion::apply(Sample& sample, Random& random) const {
  Image& image = sample.image;
  const auto draw = [&](const std::vector<double>& range) {
    return random.uniform(range[0], range[1]);
  };
  const auto change_contrast = [&] {
    if (random.chance(0.5)) scale_and_shift(image, draw(options_.contrast_range), 0);
  };
  if (random.chance(0.5)) {
    scale_and_shift(image, 1,
                    random.uniform(-options_.brightness_delta, options_.brightness_delta));
  }
  const bool contrast_first = random.chance(0.5);
  if (contrast_first) change_contrast();
  if (random.chance(0.5)) scale_saturation(image, draw(options_.saturation_range));
  if (random.chance(0.5) && options_.hue_delta > 0) {
    const int64_t steps = random.integer(-options_.hue_delta, options_.hue_delta);
    adjust_hue(image, static_cast<double>(steps) / 180);
  }
  if (!contrast_first) change_contrast();
}

}  // namespace dnc
