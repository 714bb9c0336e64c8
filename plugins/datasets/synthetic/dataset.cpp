#include "plugins/datasets/synthetic/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "registry/error.h"
#include "registry/random.h"

namespace dnc {
namespace {

constexpr uint8_t kIgnoredPixel = 255;
constexpr double kTwoPi = 2 * std::numbers::pi;

// Rings across the picture: from 2 for the first class to 6 for the last, which 20 pixels can show.
double ring_count(int64_t label, int64_t classes) {
  return 2 +
         4 * static_cast<double>(label) / static_cast<double>(std::max<int64_t>(classes - 1, 1));
}

// How much each channel swings. Hues that follow each other are a golden section apart, so that no
// two of any number are near.
std::array<double, 3> swing(int64_t label, int64_t channels) {
  if (channels == 1) return {1, 0, 0};
  const double hue = kTwoPi * std::numbers::phi * static_cast<double>(label);
  std::array<double, 3> colour{};
  for (size_t c = 0; c < 3; ++c) {
    colour[c] = 0.6 + 0.4 * std::cos(hue + kTwoPi * static_cast<double>(c) / 3);
  }
  return colour;
}

// The rings of a class: bytes as a function of the distance from their middle.
struct Rings {
  double frequency;
  std::array<double, 3> colour;
};

// One byte at a time out of the 32-bit numbers.
class Bytes {
 public:
  explicit Bytes(Random& random) : random_(random) {}
  uint32_t next() {
    if (left_ == 0) {
      word_ = random_();
      left_ = 4;
    }
    const uint32_t byte = word_ & 0xff;
    word_ >>= 8;
    --left_;
    return byte;
  }

 private:
  Random& random_;
  uint32_t word_ = 0;
  int left_ = 0;
};

}  // namespace

void SyntheticDataset::Options::fields(Fields& f) {
  f("length", length, "Number of samples.").at_least(1);
  f("classes", classes, "Number of classes.").between(1, 100000);
  f("size", size, "Height and width of a picture, in pixels.").between(1, 16384);
  f("channels", channels, "1 for gray pictures, 3 for colour.").between(1, 3);
  f("noise", noise, "Half the width of the noise added to a pixel; 1 is black against white.")
      .between(0, 1);
  f("seed", seed, "Seed of the pictures.").at_least(0);
  split_field(f, split);
  f.choice("task", task, {{"images", Task::kImages}, {"pixels", Task::kPixels}},
           "What has a label: each picture, or each of its pixels.");
}

SyntheticDataset::SyntheticDataset(const Options& options) : options_(options) {
  if (options.channels == 2) throw OptionError("channels", "must be 1 or 3, not 2");
  if (options.task == Task::kPixels && options.classes > kIgnoredPixel) {
    throw OptionError("classes", fmt::format("is {}, but label images have at most {}",
                                             options.classes, kIgnoredPixel));
  }
  for (int64_t i = 0; i < options.classes; ++i) {
    classes_.names.push_back(fmt::format("class {}", i));
  }
}

Sample SyntheticDataset::load(int64_t index) const {
  if (index < 0 || index >= options_.length) throw std::out_of_range("SyntheticDataset::load");
  Sample sample;
  sample.index = index;
  sample.label = label(index);
  const int64_t first = index % options_.classes;
  sample.image = Image(options_.size, options_.size, options_.channels);

  // The splits are different epochs of the one stream.
  Random random(static_cast<uint64_t>(options_.seed), Purpose::kSample,
                static_cast<uint64_t>(options_.split), static_cast<uint64_t>(index));
  const auto side = static_cast<double>(options_.size);
  const double top = random.uniform(0.2, 0.8) * side;
  const double left = random.uniform(0.2, 0.8) * side;
  const double phase = random.uniform(0, kTwoPi);
  const auto rings_of = [&](int64_t label) {
    return Rings{kTwoPi * ring_count(label, options_.classes) / side,
                 swing(label, options_.channels)};
  };
  const Rings left_rings = rings_of(first);
  Rings right_rings = left_rings;
  int64_t border = options_.size;  // the column from which on the second class is seen
  if (options_.task == Task::kPixels) {
    const int64_t second = random.integer(0, options_.classes);
    border = random.integer(0, options_.size);
    right_rings = rings_of(second);
    sample.labels = label_image(first, second, border);
  }
  const double noise = options_.noise * 255 / 127.5;  // per step of a byte from its middle

  Bytes bytes(random);
  uint8_t* out = sample.image.pixels();
  for (int64_t y = 0; y < options_.size; ++y) {
    for (int64_t x = 0; x < options_.size; ++x) {
      const double down = static_cast<double>(y) - top;
      const double right = static_cast<double>(x) - left;
      const double distance = std::sqrt(down * down + right * right);
      const auto& rings = x < border ? left_rings : right_rings;
      const double wave = 127.5 * std::cos(rings.frequency * distance + phase);
      for (int64_t c = 0; c < options_.channels; ++c) {
        const double value = 127.5 + rings.colour[static_cast<size_t>(c)] * wave +
                             noise * (static_cast<double>(bytes.next()) - 127.5);
        *out++ = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0) + 0.5);
      }
    }
  }
  return sample;
}

int64_t SyntheticDataset::label(int64_t index) const {
  return options_.task == Task::kImages ? index % options_.classes : Sample().label;
}

Image SyntheticDataset::label_image(int64_t left, int64_t right, int64_t border) const {
  Image labels(options_.size, options_.size, 1);
  auto* out = labels.pixels();
  for (int64_t i = 0; i < labels.size(); ++i) {
    const int64_t x = i % options_.size;
    out[i] = x == border ? kIgnoredPixel : static_cast<uint8_t>(x < border ? left : right);
  }
  return labels;
}

std::string SyntheticDataset::name(int64_t index) const {
  return fmt::format("synthetic {} #{}", options_.split == DatasetSplit::kTrain ? "train" : "test",
                     index);
}

}  // namespace dnc
