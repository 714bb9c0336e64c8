#include "host/data/byte_scale.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dnc {
namespace {

struct Line {
  double slope = 1;
  double offset = 0;
};

// Least squares; slope 0 where all bytes are equal.
Line fit_line(const uint8_t* bytes, const float* floats, int64_t count, int64_t channels) {
  double x = 0, y = 0, xx = 0, xy = 0;
  for (int64_t i = 0; i < count * channels; i += channels) {
    const double byte = bytes[i], value = static_cast<double>(floats[i]);
    x += byte;
    y += value;
    xx += byte * byte;
    xy += byte * value;
  }
  const auto n = static_cast<double>(count);
  const double variance = n * xx - x * x;
  if (!(variance > 0)) return {0, 0};
  const double slope = (n * xy - x * y) / variance;
  return {slope, (y - slope * x) / n};
}

Line stretch(const Image& floats) {
  const auto [low, high] = std::minmax_element(floats.floats(), floats.floats() + floats.size());
  const auto range = static_cast<double>(*high - *low);
  return {range > 0 ? range / 255 : 1, static_cast<double>(*low)};
}

}  // namespace

ByteScale::ByteScale(const std::array<double, 3>& mean, const std::array<double, 3>& std) {
  for (size_t c = 0; c < 3; ++c) {
    slope_[c] = 1 / std[c];
    offset_[c] = -mean[c] / std[c];
  }
}

ByteScale::ByteScale(const Image& bytes, const Image& floats) {
  const bool same = bytes.height() == floats.height() && bytes.width() == floats.width() &&
                    bytes.channels() == floats.channels();
  const auto channels = floats.channels();
  for (int64_t c = 0; c < channels; ++c) {
    Line line{0, 0};
    if (same) {
      line = fit_line(bytes.pixels() + c, floats.floats() + c, floats.height() * floats.width(),
                      channels);
    }
    if (line.slope == 0 || !std::isfinite(line.slope)) line = stretch(floats);
    slope_[static_cast<size_t>(c)] = line.slope;
    offset_[static_cast<size_t>(c)] = line.offset;
  }
}

Image ByteScale::to_bytes(const Image& floats) const {
  Image bytes(floats.height(), floats.width(), floats.channels());
  const auto channels = floats.channels();
  auto* const out = bytes.pixels();
  for (int64_t i = 0; i < floats.size(); ++i) {
    const auto c = static_cast<size_t>(i % channels);
    const double value = (static_cast<double>(floats.floats()[i]) - offset_[c]) / slope_[c];
    out[i] =
        static_cast<uint8_t>(std::lround(std::isfinite(value) ? std::clamp(value, 0.0, 255.0) : 0));
  }
  return bytes;
}

}  // namespace dnc
