#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "plugins/datasets/synthetic/dataset.h"
#include "tests/plugins/component.h"

namespace dnc {
namespace {

using Bytes = std::vector<uint8_t>;

std::shared_ptr<Dataset> build(const std::string& options) {
  return build_component<Dataset, SyntheticDataset>("{type: T, " + options + "}");
}

Bytes pixels(const Dataset& data, int64_t index) {
  const auto image = data.load(index).image;
  return {image.pixels(), image.pixels() + image.size()};
}

TEST(SyntheticTest, IsWhatTheOptionsSay) {
  const auto data = build("length: 7, classes: 3, size: 9, channels: 1");
  EXPECT_EQ(data->size(), 7);
  EXPECT_EQ(data->classes().size(), 3);
  const auto sample = data->load(5);
  EXPECT_EQ(sample.index, 5);
  EXPECT_EQ(sample.label, 2);
  EXPECT_EQ(sample.image.height(), 9);
  EXPECT_EQ(sample.image.width(), 9);
  EXPECT_EQ(sample.image.channels(), 1);
  EXPECT_EQ(data->name(5), "synthetic train #5");
  EXPECT_THROW(data->load(7), std::out_of_range);
}

TEST(SyntheticTest, SameOptionsGiveTheSamePictures) {
  const auto data = build("seed: 3");
  EXPECT_EQ(pixels(*data, 4), pixels(*build("seed: 3, length: 20"), 4));
  EXPECT_EQ(pixels(*data, 4), pixels(*data, 4));
}

TEST(SyntheticTest, SeedSplitAndIndexChangeThePicture) {
  const auto data = build("seed: 3");
  EXPECT_NE(pixels(*data, 4), pixels(*build("seed: 4"), 4));
  EXPECT_NE(pixels(*data, 4), pixels(*build("seed: 3, split: test"), 4));
  EXPECT_NE(pixels(*data, 4), pixels(*data, 14));  // of the same class
}

TEST(SyntheticTest, PicturesForPixelsShowTwoClassesAndSayWhere) {
  const auto data = build("task: pixels, classes: 5, size: 16");
  EXPECT_EQ(data->task(), Task::kPixels);
  std::set<uint8_t> seen;
  for (int64_t i = 0; i < 10; ++i) {
    const auto sample = data->load(i);
    ASSERT_EQ(sample.labels.height(), 16);
    ASSERT_EQ(sample.labels.width(), 16);
    const Bytes labels(sample.labels.pixels(), sample.labels.pixels() + sample.labels.size());
    EXPECT_EQ(std::count(labels.begin(), labels.end(), 255), 16) << "one column";
    const auto border = std::find(labels.begin(), labels.end(), 255) - labels.begin();
    EXPECT_TRUE(border == 0 || labels[0] == i % 5) << i;
    for (int64_t p = 0; p < 256; ++p) {
      EXPECT_EQ(labels[static_cast<size_t>(p)], labels[static_cast<size_t>(p % 16)])
          << "rows differ";
    }
    seen.insert(labels.begin(), labels.end());
  }
  EXPECT_EQ(seen, (std::set<uint8_t>{0, 1, 2, 3, 4, 255}));
  EXPECT_THAT((build_error<Dataset, SyntheticDataset>("{type: T, task: pixels, classes: 256}")),
              ::testing::HasSubstr("is 256, but label images have at most 255"));
}

TEST(SyntheticTest, RefusesTwoChannels) {
  EXPECT_THAT((build_error<Dataset, SyntheticDataset>("{type: T, channels: 2}")),
              ::testing::HasSubstr("must be 1 or 3, not 2"));
}

// How strongly a gray picture holds rings of each class, whatever their middle: the energy of its
// 2-D Fourier transform at the radius of the class.
int64_t classify_by_rings(const Bytes& gray, int64_t size, int64_t classes) {
  double mean = 0;
  for (const auto value : gray) mean += value / static_cast<double>(gray.size());
  int64_t best = -1;
  double best_energy = -1;
  for (int64_t k = 0; k < classes; ++k) {
    const double rings = 2 + 4.0 * static_cast<double>(k) / static_cast<double>(classes - 1);
    double energy = 0;
    for (int direction = 0; direction < 12; ++direction) {
      const double angle = M_PI * direction / 12;
      const double fy = 2 * M_PI * rings * std::sin(angle) / static_cast<double>(size);
      const double fx = 2 * M_PI * rings * std::cos(angle) / static_cast<double>(size);
      double real = 0;
      double imaginary = 0;
      for (int64_t y = 0; y < size; ++y) {
        for (int64_t x = 0; x < size; ++x) {
          const double value = gray[static_cast<size_t>(y * size + x)] - mean;
          const double turn = fy * static_cast<double>(y) + fx * static_cast<double>(x);
          real += value * std::cos(turn);
          imaginary += value * std::sin(turn);
        }
      }
      energy += real * real + imaginary * imaginary;
    }
    if (energy > best_energy) {
      best_energy = energy;
      best = k;
    }
  }
  return best;
}

TEST(SyntheticTest, RingsTellTheClass) {
  const auto data = build("classes: 3, channels: 1, length: 60");
  int64_t right = 0;
  for (int64_t i = 0; i < data->size(); ++i) {
    right += classify_by_rings(pixels(*data, i), 32, 3) == data->load(i).label ? 1 : 0;
  }
  EXPECT_GE(right, 54);
}

// The deviation of each channel is a fingerprint of the class: its colour.
TEST(SyntheticTest, ColourTellsTheClass) {
  constexpr int64_t kClasses = 10;
  const auto fingerprint = [](const Dataset& data, int64_t index) {
    const auto image = pixels(data, index);
    std::array<double, 3> deviation{};
    for (size_t i = 0; i < image.size(); ++i) deviation[i % 3] += std::abs(image[i] - 127.5);
    const double sum = deviation[0] + deviation[1] + deviation[2];
    for (auto& value : deviation) value /= sum;
    return deviation;
  };
  const auto train = build("length: 100, noise: 0.1");
  std::array<std::array<double, 3>, kClasses> means{};
  for (int64_t i = 0; i < train->size(); ++i) {
    const auto one = fingerprint(*train, i);
    for (size_t c = 0; c < 3; ++c) means[static_cast<size_t>(i % kClasses)][c] += one[c] / 10;
  }
  const auto test = build("length: 100, noise: 0.1, split: test");
  int64_t right = 0;
  for (int64_t i = 0; i < test->size(); ++i) {
    const auto one = fingerprint(*test, i);
    const auto distance = [&](const std::array<double, 3>& mean) {
      double sum = 0;
      for (size_t c = 0; c < 3; ++c) sum += std::abs(mean[c] - one[c]);
      return sum;
    };
    const auto nearest = std::min_element(
        means.begin(), means.end(), [&](auto& a, auto& b) { return distance(a) < distance(b); });
    right += nearest - means.begin() == test->load(i).label ? 1 : 0;
  }
  EXPECT_GE(right, 90);
}

}  // namespace
}  // namespace dnc
