#include "plugins/transforms/common/photometric.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

namespace dnc {
namespace {

using Table = std::array<uint8_t, 256>;
using Histogram = std::array<int64_t, 256>;

template <typename F>
Table make_table(F value_of) {
  Table table;
  for (int i = 0; i < 256; ++i) table[static_cast<size_t>(i)] = value_of(i);
  return table;
}

void map_bytes(Image& image, const Table& table) {
  uint8_t* const bytes = image.pixels();
  for (int64_t i = 0; i < image.size(); ++i) bytes[i] = table[bytes[i]];
}

// `table_of(c)` maps the bytes of channel c.
template <typename F>
void map_channels(Image& image, F table_of) {
  const int64_t channels = image.channels();
  uint8_t* const bytes = image.pixels();
  for (int64_t c = 0; c < channels; ++c) {
    const Table table = table_of(c);
    for (int64_t i = c; i < image.size(); i += channels) bytes[i] = table[bytes[i]];
  }
}

Histogram count_bytes(const Image& image, int64_t channel) {
  Histogram counts{};
  const uint8_t* const bytes = image.pixels();
  for (int64_t i = channel; i < image.size(); i += image.channels()) ++counts[bytes[i]];
  return counts;
}

// From `base` through `value` and beyond: float, and cut to a whole number, as Pillow has it.
uint8_t blend(int base, int value, float factor) {
  const float mixed = static_cast<float>(base) + factor * static_cast<float>(value - base);
  if (mixed <= 0) return 0;
  if (mixed >= 255) return 255;
  return static_cast<uint8_t>(mixed);
}

void blend_with(Image& image, int base, double factor) {
  map_bytes(image, make_table([&](int i) { return blend(base, i, static_cast<float>(factor)); }));
}

// The mean of the luma, rounded.
int find_mean(const Image& image) {
  const Image gray = image.to_channels(1);
  const uint8_t* const luma = gray.pixels();
  const int64_t sum = std::accumulate(luma, luma + gray.size(), int64_t{0});
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(gray.size()) + 0.5);
}

// Hue, saturation and value, a byte each: a full turn of the hue is 255.
struct Hsv {
  uint8_t hue = 0;
  uint8_t saturation = 0;
  uint8_t value = 0;
};

Hsv to_hsv(const uint8_t* rgb) {
  const auto [lowest, highest] = std::minmax({rgb[0], rgb[1], rgb[2]});
  if (lowest == highest) return {0, 0, highest};
  const auto range = static_cast<float>(highest - lowest);
  const auto below = [&, top = highest](int c) { return static_cast<float>(top - rgb[c]) / range; };
  double sextant = 0;  // of the colour circle, from -1 to 5
  if (rgb[0] == highest) {
    sextant = below(2) - below(1);
  } else if (rgb[1] == highest) {
    sextant = static_cast<float>(2.0 + below(0) - below(2));
  } else {
    sextant = static_cast<float>(4.0 + below(1) - below(0));
  }
  const double turns = sextant / 6.0 + 1.0;
  const auto hue = static_cast<float>(turns - std::floor(turns));
  const float saturation = range / static_cast<float>(highest);
  return {static_cast<uint8_t>(hue * 255.0), static_cast<uint8_t>(saturation * 255.0), highest};
}

void to_rgb(const Hsv& hsv, uint8_t* rgb) {
  if (hsv.saturation == 0) {
    std::fill_n(rgb, 3, hsv.value);
    return;
  }
  const double position = static_cast<float>(hsv.hue) * 6.0 / 255.0;
  const auto sextant = static_cast<int>(position);
  const auto rest = static_cast<float>(position - sextant);
  const auto saturation = static_cast<float>(hsv.saturation / 255.0);
  const auto darker = [&](double share) {
    return static_cast<uint8_t>(std::round(hsv.value * (1.0 - share)));
  };
  const uint8_t value = hsv.value;
  const uint8_t lowest = darker(saturation);
  // One of the two others lies between: falling in the odd sextants, rising in the even ones.
  const uint8_t between =
      sextant % 2 == 1 ? darker(saturation * rest) : darker(saturation * (1.0 - rest));
  using Rgb = std::array<uint8_t, 3>;
  const std::array<Rgb, 6> sextants{Rgb{value, between, lowest}, {between, value, lowest},
                                    {lowest, value, between},    {lowest, between, value},
                                    {between, lowest, value},    {value, lowest, between}};
  std::copy_n(sextants[static_cast<size_t>(sextant % 6)].begin(), 3, rgb);
}

Table stretch(const Histogram& counts) {
  int darkest = 0;
  int brightest = 255;
  while (darkest < 255 && counts[static_cast<size_t>(darkest)] == 0) ++darkest;
  while (brightest > 0 && counts[static_cast<size_t>(brightest)] == 0) --brightest;
  if (brightest <= darkest) return make_table([](int i) { return static_cast<uint8_t>(i); });
  const double scale = 255.0 / (brightest - darkest);
  const double offset = -darkest * scale;
  return make_table(
      [&](int i) { return static_cast<uint8_t>(std::clamp(i * scale + offset, 0.0, 255.0)); });
}

Table even_out(const Histogram& counts) {
  const auto last = std::find_if(counts.rbegin(), counts.rend(), [](int64_t n) { return n > 0; });
  const int64_t pixels = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  const int64_t step = last == counts.rend() ? 0 : (pixels - *last) / 255;
  if (step == 0) return make_table([](int i) { return static_cast<uint8_t>(i); });
  int64_t below = step / 2;
  return make_table([&](int i) {
    const auto level = static_cast<uint8_t>(std::min<int64_t>(below / step, 255));
    below += counts[static_cast<size_t>(i)];
    return level;
  });
}

}  // namespace

void adjust_brightness(Image& image, double factor) { blend_with(image, 0, factor); }

void adjust_contrast(Image& image, double factor) {
  if (!image.empty()) blend_with(image, find_mean(image), factor);
}

void adjust_saturation(Image& image, double factor) {
  if (image.channels() == 1) return;
  const Image gray = image.to_channels(1);
  const uint8_t* const luma = gray.pixels();
  uint8_t* const bytes = image.pixels();
  for (int64_t i = 0; i < image.size(); ++i) {
    bytes[i] = blend(luma[i / 3], bytes[i], static_cast<float>(factor));
  }
}

void adjust_sharpness(Image& image, double factor) {
  const int64_t channels = image.channels();
  const int64_t length = image.width() * channels;
  const std::vector<uint8_t> before(std::as_const(image).pixels(),
                                    std::as_const(image).pixels() + image.size());
  uint8_t* const after = image.pixels();
  for (int64_t y = 1; y < image.height() - 1; ++y) {
    const uint8_t* const row = before.data() + y * length;
    const auto sum_of = [&](const uint8_t* at) { return at[-channels] + at[0] + at[channels]; };
    for (int64_t i = channels; i < length - channels; ++i) {
      const int sum = sum_of(row + i - length) + sum_of(row + i) + sum_of(row + i + length);
      const int smooth = (2 * (sum + 4 * row[i]) + 13) / 26;  // divided by 13, rounded
      after[y * length + i] = blend(smooth, row[i], static_cast<float>(factor));
    }
  }
}

void adjust_hue(Image& image, double turn) {
  if (image.channels() == 1) return;
  const auto shift = static_cast<int>(turn * 255);
  uint8_t* const bytes = image.pixels();
  for (int64_t i = 0; i < image.size(); i += 3) {
    Hsv hsv = to_hsv(bytes + i);
    hsv.hue = static_cast<uint8_t>(hsv.hue + shift);
    to_rgb(hsv, bytes + i);
  }
}

void remove_color(Image& image) {
  if (image.channels() == 3) image = image.to_channels(1).to_channels(3);
}

void posterize(Image& image, int64_t bits) {
  const int mask = 0xff00 >> std::clamp<int64_t>(bits, 0, 8);
  map_bytes(image, make_table([&](int i) { return static_cast<uint8_t>(i & mask); }));
}

void solarize(Image& image, double threshold) {
  map_bytes(image,
            make_table([&](int i) { return static_cast<uint8_t>(i < threshold ? i : 255 - i); }));
}

void solarize_add(Image& image, int64_t addend) {
  map_bytes(image, make_table([&](int i) {
              return static_cast<uint8_t>(i < 128 ? std::clamp<int64_t>(i + addend, 0, 255) : i);
            }));
}

void invert(Image& image) {
  map_bytes(image, make_table([](int i) { return static_cast<uint8_t>(255 - i); }));
}

void auto_contrast(Image& image) {
  map_channels(image, [&](int64_t c) { return stretch(count_bytes(image, c)); });
}

void equalize(Image& image) {
  map_channels(image, [&](int64_t c) { return even_out(count_bytes(image, c)); });
}

void add(Image& image, const std::array<double, 3>& addends) {
  map_channels(image, [&](int64_t c) {
    const double addend = addends[static_cast<size_t>(c)];
    return make_table([&](int i) {
      return static_cast<uint8_t>(std::lround(std::clamp(i + addend, 0.0, 255.0)));
    });
  });
}

}  // namespace dnc
