#include "plugins/transforms/pixels/normalize.h"

#include <algorithm>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {
namespace {

// Numbers for black = 0 and white = 1 beside `white: 255`, or the other way round, would spoil a
// run without a word.
void check_unit(const Normalize::Options& options) {
  const auto largest = [](const std::vector<double>& numbers) {
    return *std::max_element(numbers.begin(), numbers.end());
  };
  if (options.white > 1 && largest(options.std) <= 1) {
    throw OptionError("std",
                      "seems to be for white = 1, as torchvision has it; then say `white: 1`");
  }
  if (options.white <= 1 && largest(options.mean) > 1) {
    throw OptionError("mean",
                      "seems to be for white = 255, as OpenMMLab has it; then leave out "
                      "`white: 1`");
  }
}

}  // namespace

void Normalize::Options::fields(Fields& f) {
  f("mean", mean, "Subtracted: one number, or one each for red, green and blue.")
      .required()
      .length(1, 3);
  f("std", std, "Divided by: one number, or one each for red, green and blue.")
      .required()
      .length(1, 3)
      .above(0);
  f("white", white,
    "Value of white in the units of mean and std: 255 as in OpenMMLab, or 1 as in torchvision.")
      .above(0);
}

Normalize::Normalize(const Options& options)
    : channels_(std::max(options.mean.size(), options.std.size())) {
  check_channels("mean", options.mean);
  check_channels("std", options.std);
  check_unit(options);
  for (size_t c = 0; c < 3; ++c) {
    const double mean = options.mean[options.mean.size() == 1 ? 0 : c];
    const double std = options.std[options.std.size() == 1 ? 0 : c];
    factor_[c] = static_cast<float>(options.white / 255 / std);
    offset_[c] = static_cast<float>(-mean / std);
  }
}

void Normalize::apply(Sample& sample, Random&) const {
  auto& image = sample.image;
  if (image.channels() == 1 && channels_ == 3) image = image.to_channels(3);
  image.to_float();
  const int64_t channels = image.channels();
  float* const values = image.floats();
  for (int64_t i = 0; i < image.size(); i += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      values[i + c] =
          values[i + c] * factor_[static_cast<size_t>(c)] + offset_[static_cast<size_t>(c)];
    }
  }
}

}  // namespace dnc
