#include "host/report/label_picture.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace dnc::report {
namespace {

constexpr int64_t kGap = 4;

// A colour of the HSV cone.
std::array<uint8_t, 3> hsv(double hue, double saturation, double value) {
  const auto channel = [&](double offset) {
    const double k = std::fmod(offset + hue * 6, 6);
    const double level = value - value * saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0);
    return static_cast<uint8_t>(std::lround(255 * level));
  };
  return {channel(5), channel(3), channel(1)};
}

}  // namespace

Palette palette_of(const ClassInfo& classes) {
  if (!classes.palette.empty()) return classes.palette;
  Palette palette;
  for (int64_t i = 0; i < classes.size(); ++i) {
    // Steps of the golden ratio: no two hues of the first few are near each other.
    const double hue = std::fmod(static_cast<double>(i) * 0.6180339887498949, 1.0);
    palette.push_back(hsv(hue, i % 2 == 0 ? 0.85 : 0.55, i % 3 == 2 ? 0.7 : 1.0));
  }
  return palette;
}

Image colour_labels(const Image& labels, const Palette& palette) {
  Image colours(labels.height(), labels.width(), 3);
  const auto* in = labels.pixels();
  auto* out = colours.pixels();
  for (int64_t i = 0; i < labels.size(); ++i, out += 3) {
    if (in[i] < palette.size()) std::copy_n(palette[in[i]].data(), 3, out);
  }
  return colours;
}

Image overlay(const Image& image, const Image& labels, const Palette& palette) {
  if (labels.height() != image.height() || labels.width() != image.width()) {
    throw std::invalid_argument("overlay: expected labels of the image's size");
  }
  Image mixed = image.to_channels(3);
  const auto* id = labels.pixels();
  auto* out = mixed.pixels();
  for (int64_t i = 0; i < labels.size(); ++i, out += 3) {
    if (id[i] >= palette.size()) continue;
    for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>((out[c] + palette[id[i]][c]) / 2);
  }
  return mixed;
}

Image side_by_side(const std::vector<Image>& images) {
  int64_t width = -kGap;
  for (const auto& image : images) {
    if (image.height() != images.front().height() || image.channels() != 3) {
      throw std::invalid_argument("side_by_side: expected RGB images of one height");
    }
    width += image.width() + kGap;
  }
  const int64_t height = images.front().height();
  Image all(height, width, 3);
  auto* out = all.pixels();
  std::fill_n(out, all.size(), uint8_t{255});
  for (const auto& image : images) {
    const int64_t length = image.width() * 3;
    for (int64_t y = 0; y < height; ++y) {
      std::copy_n(image.pixels() + y * length, length, out + y * width * 3);
    }
    out += (image.width() + kGap) * 3;
  }
  return all;
}

}  // namespace dnc::report
