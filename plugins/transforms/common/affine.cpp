#include "plugins/transforms/common/affine.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "plugins/transforms/common/sample.h"

namespace dnc {
namespace {

// Bytes that are read, and those of the same size that are written.
struct Pixels {
  const uint8_t* in;
  uint8_t* out;
  int64_t height;
  int64_t width;
};

// The whole number below; of what lies before the image any negative one.
int64_t find_index(double position) { return position < 0 ? -1 : static_cast<int64_t>(position); }

// Rows stay rows: the index of each row or column, found by adding up as Pillow does.
std::vector<int64_t> find_indices(double first, double step, int64_t count) {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  for (auto& index : indices) {
    index = find_index(first);
    first += step;
  }
  return indices;
}

template <int kChannels>
void copy_pixel(const Pixels& pixels, int64_t in_y, int64_t in_x, uint8_t* out) {
  if (in_y < 0 || in_y >= pixels.height || in_x < 0 || in_x >= pixels.width) return;
  std::copy_n(pixels.in + (in_y * pixels.width + in_x) * kChannels, kChannels, out);
}

template <int kChannels>
void pick_rows_and_columns(const Pixels& pixels, const Affine& affine) {
  const auto rows = find_indices(affine.y0 + affine.yy * 0.5, affine.yy, pixels.height);
  const auto columns = find_indices(affine.x0 + affine.xx * 0.5, affine.xx, pixels.width);
  uint8_t* out = pixels.out;
  for (const int64_t row : rows) {
    for (const int64_t column : columns) {
      copy_pixel<kChannels>(pixels, row, column, out);
      out += kChannels;
    }
  }
}

// In Pillow's fixed point of 16 bits.
template <int kChannels>
void pick_nearest(const Pixels& pixels, const Affine& affine) {
  const auto fixed = [](double value) {
    return static_cast<int64_t>(std::floor(value * 65536.0 + 0.5));
  };
  const int64_t xx = fixed(affine.xx);
  const int64_t xy = fixed(affine.xy);
  const int64_t yx = fixed(affine.yx);
  const int64_t yy = fixed(affine.yy);
  int64_t first_x = fixed(affine.x0 + affine.xx * 0.5 + affine.xy * 0.5);
  int64_t first_y = fixed(affine.y0 + affine.yx * 0.5 + affine.yy * 0.5);
  uint8_t* out = pixels.out;
  for (int64_t row = 0; row < pixels.height; ++row, first_x += xy, first_y += yy) {
    int64_t x = first_x;
    int64_t y = first_y;
    for (int64_t column = 0; column < pixels.width; ++column, x += xx, y += yx) {
      copy_pixel<kChannels>(pixels, y >> 16, x >> 16, out);
      out += kChannels;
    }
  }
}

// One value from `kTaps` that follow each other; the image's pixel before the position is the first
// of two, or the second of four.
struct Linear {
  static constexpr int kTaps = 2;
  static double mix(const double* taps, double rest) {
    return taps[0] + (taps[1] - taps[0]) * rest;
  }
};
struct Cubic {
  static constexpr int kTaps = 4;
  static double mix(const double* taps, double rest) {
    const double p2 = -taps[0] + taps[2];
    const double p3 = 2 * (taps[0] - taps[1]) + taps[2] - taps[3];
    const double p4 = -taps[0] + taps[1] - taps[2] + taps[3];
    return taps[1] + rest * (p2 + rest * (p3 + rest * p4));
  }
};

// Taps along one axis; beyond the edge the outermost pixel counts on.
template <int kTaps>
struct Taps {
  Taps(double position, int64_t size) {
    const auto before = static_cast<int64_t>(std::floor(position));
    rest = position - static_cast<double>(before);
    for (int i = 0; i < kTaps; ++i) {
      at[i] = std::clamp<int64_t>(before + i + 1 - kTaps / 2, 0, size - 1);
    }
  }
  int64_t at[kTaps];
  double rest;
};

template <typename Filter, int kChannels>
void mix_pixel(const Pixels& pixels, double x, double y, uint8_t* out) {
  constexpr int kTaps = Filter::kTaps;
  const Taps<kTaps> rows(y - 0.5, pixels.height);
  const Taps<kTaps> columns(x - 0.5, pixels.width);
  for (int c = 0; c < kChannels; ++c) {
    double mixed_rows[kTaps];
    for (int i = 0; i < kTaps; ++i) {
      const uint8_t* const row = pixels.in + rows.at[i] * pixels.width * kChannels + c;
      double taps[kTaps];
      for (int j = 0; j < kTaps; ++j) taps[j] = row[columns.at[j] * kChannels];
      mixed_rows[i] = Filter::mix(taps, columns.rest);
    }
    const double mixed = Filter::mix(mixed_rows, rows.rest);
    out[c] = static_cast<uint8_t>(std::clamp(mixed, 0.0, 255.0));
  }
}

template <typename Filter, int kChannels>
void mix(const Pixels& pixels, const Affine& affine) {
  const auto width = static_cast<double>(pixels.width);
  const auto height = static_cast<double>(pixels.height);
  uint8_t* out = pixels.out;
  for (double row = 0.5; row < height; ++row) {
    for (double column = 0.5; column < width; ++column, out += kChannels) {
      const double x = affine.xx * column + affine.xy * row + affine.x0;
      const double y = affine.yx * column + affine.yy * row + affine.y0;
      if (x < 0 || x >= width || y < 0 || y >= height) continue;
      mix_pixel<Filter, kChannels>(pixels, x, y, out);
    }
  }
}

template <int kChannels>
void warp(const Pixels& pixels, const Affine& affine, Interpolation interpolation) {
  if (interpolation == Interpolation::kBilinear) {
    mix<Linear, kChannels>(pixels, affine);
  } else if (interpolation == Interpolation::kBicubic) {
    mix<Cubic, kChannels>(pixels, affine);
  } else if (affine.xy == 0 && affine.yx == 0) {
    pick_rows_and_columns<kChannels>(pixels, affine);
  } else {
    pick_nearest<kChannels>(pixels, affine);
  }
}

// To 15 decimals, as Pillow does, so that turns by 90 degrees are exact.
double round_decimals(double value) {
  return std::nearbyint(static_cast<double>(value * 1e15L)) / 1e15;
}

}  // namespace

Affine shear_x(double factor) { return {.xy = factor}; }

Affine shear_y(double factor) { return {.yx = factor}; }

Affine translate(double right, double down) { return {.x0 = -right, .y0 = -down}; }

Affine rotate(double degrees, int64_t height, int64_t width) {
  double positive = std::fmod(degrees, 360.0);
  if (positive < 0) positive += 360.0;
  const double angle = -(positive * (std::numbers::pi / 180));
  const double cosine = round_decimals(std::cos(angle));
  const double sine = round_decimals(std::sin(angle));
  const double x = static_cast<double>(width) / 2;
  const double y = static_cast<double>(height) / 2;
  return {.xx = cosine,
          .xy = sine,
          .x0 = cosine * -x + sine * -y + x,
          .yx = -sine,
          .yy = cosine,
          .y0 = -sine * -x + cosine * -y + y};
}

Image warp(const Image& image, const Affine& affine, Interpolation interpolation,
           const std::array<float, 3>& fill) {
  const int64_t channels = image.channels();
  const Border border{Border::Mode::kConstant, fill};
  // Only the border of such a crop is seen, so it is the fill.
  Image moved = image.crop({image.height(), 0, image.height(), image.width()}, border);
  const Pixels pixels{image.pixels(), moved.pixels(), image.height(), image.width()};
  if (channels == 1) {
    warp<1>(pixels, affine, interpolation);
  } else {
    warp<3>(pixels, affine, interpolation);
  }
  return moved;
}

void warp(Sample& sample, const Affine& affine, Interpolation interpolation,
          const std::array<float, 3>& fill) {
  sample.image = warp(sample.image, affine, interpolation, fill);
  if (sample.labels.empty()) return;
  std::array<float, 3> ignored;
  ignored.fill(kIgnoredPixel);
  sample.labels = warp(sample.labels, affine, Interpolation::kNearest, ignored);
}

}  // namespace dnc
