#include "plugins/transforms/color/color_jitter.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "plugins/transforms/common/photometric.h"
#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {
namespace {

// One number is the largest distance from the value that changes nothing, two are the range.
std::pair<double, double> to_range(const std::string& option, const std::vector<double>& numbers,
                                   double unchanged, double lowest) {
  if (numbers.size() == 1) {
    return {std::max(unchanged - numbers[0], lowest), unchanged + numbers[0]};
  }
  check_range(option, numbers);
  return {numbers[0], numbers[1]};
}

}  // namespace

void ColorJitter::Options::fields(Fields& f) {
  f("probability", probability, "Share of the images that are changed.").between(0, 1);
  const std::string numbers = ": v for a factor from 1 - v (at least 0) to 1 + v, or [low, high].";
  f("brightness", brightness, "Change of brightness" + numbers).length(1, 2).at_least(0);
  f("contrast", contrast, "Change of contrast" + numbers).length(1, 2).at_least(0);
  f("saturation", saturation, "Change of saturation" + numbers).length(1, 2).at_least(0);
  f("hue", hue, "Change of hue, in turns of the colour circle: v for -v to v, or [low, high].")
      .length(1, 2)
      .between(-0.5, 0.5);
}

ColorJitter::ColorJitter(const Options& options) : probability_(options.probability) {
  const auto factors = [](const std::string& option, const std::vector<double>& numbers) {
    const auto [low, high] = to_range(option, numbers, 1, 0);
    return Range{low, high};
  };
  brightness_ = factors("brightness", options.brightness);
  contrast_ = factors("contrast", options.contrast);
  saturation_ = factors("saturation", options.saturation);
  if (options.hue.size() == 1 && options.hue[0] < 0) {
    throw OptionError("hue", "must not be negative as one number; for a range give [low, high]");
  }
  const auto [low, high] = to_range("hue", options.hue, 0, -0.5);
  hue_ = {low, high};
}

void ColorJitter::apply(Sample& sample, Random& random) const {
  if (!random.chance(probability_)) return;
  const auto draw = [&](const Range& range) { return random.uniform(range.low, range.high); };
  const double brightness = draw(brightness_);
  const double contrast = draw(contrast_);
  const double saturation = draw(saturation_);
  const double hue = draw(hue_);
  std::array<int, 4> order{0, 1, 2, 3};
  for (int64_t i = 3; i > 0; --i) {  // Fisher and Yates
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(random.integer(0, i + 1))]);
  }
  for (const int change : order) {
    if (change == 0 && brightness != 1) adjust_brightness(sample.image, brightness);
    if (change == 1 && contrast != 1) adjust_contrast(sample.image, contrast);
    if (change == 2 && saturation != 1) adjust_saturation(sample.image, saturation);
    // Even a turn by nothing rounds the colours, so hue counts only where it is asked for.
    if (change == 3 && (hue_.low != 0 || hue_.high != 0)) adjust_hue(sample.image, hue);
  }
}

}  // namespace dnc
