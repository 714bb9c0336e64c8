#include "plugins/transforms/common/photometric.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "plugins/transforms/common/rgb_block.h"

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

// To hue, saturation and value, a byte each (a full turn of the hue is 255), and back with another
// hue: in float and double by turns, and cut or rounded, as Pillow has it.
#ifdef __x86_64__
[[gnu::target_clones("avx2", "default")]]
#endif
void turn_hue(RgbBlock& block, int32_t shift) {
  constexpr int64_t kPixels = RgbBlock::kPixels;
  // The highest channel is the value. It says in which third of the colour circle the hue is, and
  // how far the two others lie below it says where in that.
  int32_t value[kPixels], range[kPixels], begin[kPixels], rise[kPixels], fall[kPixels];
  for (int64_t i = 0; i < kPixels; ++i) {
    const int32_t red = block.red[i], green = block.green[i], blue = block.blue[i];
    const int32_t highest = std::max(red, std::max(green, blue));
    const int32_t is_red = -static_cast<int32_t>(red == highest);
    const int32_t is_green = ~is_red & -static_cast<int32_t>(green == highest);
    const int32_t is_blue = ~(is_red | is_green);
    value[i] = highest;
    range[i] = highest - std::min(red, std::min(green, blue));
    begin[i] = (is_green & 2) | (is_blue & 4);
    rise[i] = highest - ((is_red & blue) | (is_green & red) | (is_blue & green));
    fall[i] = highest - ((is_red & green) | (is_green & blue) | (is_blue & red));
  }
  int32_t sextant[kPixels], between[kPixels], lowest[kPixels];
  for (int64_t i = 0; i < kPixels; ++i) {
    const auto whole = static_cast<float>(std::max(range[i], 1));
    const double up = static_cast<float>(rise[i]) / whole;
    const double down = static_cast<float>(fall[i]) / whole;
    const double turns = static_cast<float>(begin[i] + up - down) / 6.0 + 1.0;
    const auto turn = static_cast<float>(turns - static_cast<int32_t>(turns));
    const int32_t hue = (static_cast<int32_t>(turn * 255.0) + shift) & 255;
    const float share = static_cast<float>(range[i]) / static_cast<float>(std::max(value[i], 1));
    const auto saturation = static_cast<float>(static_cast<int32_t>(share * 255.0) / 255.0);

    const double position = static_cast<float>(hue) * 6.0 / 255.0;
    sextant[i] = static_cast<int32_t>(position);
    const auto rest = static_cast<float>(position - sextant[i]);
    const double falling = saturation * rest, rising = saturation * (1.0 - rest);
    const double is_odd = sextant[i] & 1;  // the channel between falls there
    lowest[i] = round_positive(value[i] * (1.0 - saturation));
    between[i] = round_positive(value[i] * (1.0 - (is_odd * falling + (1 - is_odd) * rising)));
  }
  for (int64_t i = 0; i < kPixels; ++i) {
    // Where a channel is the highest and where it is between, a bit for each sextant; 6 is 0 again.
    const auto choose = [&](uint32_t highest_in, uint32_t between_in) {
      const int32_t is_highest = -static_cast<int32_t>(highest_in >> sextant[i] & 1);
      const int32_t is_between = -static_cast<int32_t>(between_in >> sextant[i] & 1);
      return (is_highest & value[i]) | (is_between & between[i]) |
             (~(is_highest | is_between) & lowest[i]);
    };
    block.red[i] = choose(0b1100001, 0b0010010);
    block.green[i] = choose(0b0000110, 0b1001001);
    block.blue[i] = choose(0b0011000, 0b0100100);
  }
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
  const auto shift = static_cast<int32_t>(turn * 255);
  change_blocks(image, [&](RgbBlock& block) { turn_hue(block, shift); });
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
