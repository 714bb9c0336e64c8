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

Image blend(const Image& under, const Image& over, double share) {
  if (under.height() != over.height() || under.width() != over.width() || under.channels() != 3 ||
      over.channels() != 3) {
    throw std::invalid_argument("blend: expected two RGB images of one size");
  }
  Image mixed(under.height(), under.width(), 3);
  const auto* a = under.pixels();
  const auto* b = over.pixels();
  auto* out = mixed.pixels();
  for (int64_t i = 0; i < mixed.size(); ++i) {
    out[i] = static_cast<uint8_t>(std::lround((1 - share) * a[i] + share * b[i]));
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
