#include "plugins/transforms/common/sample.h"

#include <fmt/format.h>

#include "registry/error.h"

namespace dnc {

Size to_size(const std::vector<int64_t>& numbers) { return {numbers.front(), numbers.back()}; }

void check_range(const std::string& option, const std::vector<double>& range) {
  if (range.size() == 2 && range[0] <= range[1]) return;
  throw OptionError(option, "must be [low, high], with low not above high");
}

void check_channels(const std::string& option, const std::vector<double>& numbers) {
  if (numbers.size() == 1 || numbers.size() == 3) return;
  throw OptionError(option, fmt::format("has {} numbers; give one for all channels, or three (red, "
                                        "green, blue)",
                                        numbers.size()));
}

std::array<float, 3> to_channels(const std::vector<double>& numbers) {
  std::array<float, 3> channels{};
  for (size_t c = 0; c < 3; ++c) {
    channels[c] = static_cast<float>(numbers[numbers.size() == 1 ? 0 : c]);
  }
  return channels;
}

Field& interpolation_field(Fields& fields, Interpolation& interpolation) {
  return fields.choice(
      "interpolation", interpolation,
      {{"nearest", Interpolation::kNearest},
       {"bilinear", Interpolation::kBilinear},
       {"bicubic", Interpolation::kBicubic}},
      "How the image is resized; bilinear and bicubic are antialiased, bit for bit "
      "as Pillow has them. Labels are always 'nearest'.");
}

Field& decoding_field(Fields& fields, Decoding& decoding) {
  return fields.choice(
      "decoding", decoding, {{"exact", Decoding::kExact}, {"reduced", Decoding::kReduced}},
      "'reduced': a JPEG that is at least four times as large as it becomes is decoded at 1/2, 1/4 "
      "or 1/8 of its size. That is faster, and by half a level of 255 off in the mean.");
}

void crop(Sample& sample, const Box& box) {
  sample.image = sample.image.crop(box);
  if (!sample.labels.empty()) sample.labels = sample.labels.crop(box);
}

void crop(Sample& sample, const Box& box, const Border& border) {
  sample.image = sample.image.crop(box, border);
  if (sample.labels.empty()) return;
  Border ignored = border;
  ignored.fill.fill(kIgnoredPixel);
  sample.labels = sample.labels.crop(box, ignored);
}

void resize(Sample& sample, const Size& size, Interpolation interpolation, Decoding decoding) {
  sample.image = sample.image.resize(size.height, size.width, interpolation, decoding);
  if (sample.labels.empty()) return;
  sample.labels = sample.labels.resize(size.height, size.width, Interpolation::kNearest);
}

}  // namespace dnc
