#include "host/explain/nearest_samples.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "tests/frozen_testing.h"
#include "tests/host/explain/prototype_head.h"

namespace dnc {
namespace {

// Samples of a class by falling similarity to a prototype of it, one by one.
std::vector<std::pair<double, int64_t>> by_hand(const NearestSearch::Points& all,
                                                const torch::Tensor& prototype, int64_t label) {
  std::vector<std::pair<double, int64_t>> found;
  for (int64_t i = 0; i < all.labels.size(0); ++i) {
    const double cosine = all.values[i].dot(prototype).item<double>();
    if (all.labels[i].item<int64_t>() != label || std::isnan(cosine)) continue;
    found.emplace_back(-cosine, all.samples[i].item<int64_t>());
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST(NearestSearch, EqualsAComparisonOfAllPairs) {
  const auto prototypes = unit_points({3, 4, 5});
  NearestSearch::Points all;
  all.values = unit_points({200, 5});
  all.values[17] = NAN;
  all.labels = torch::randint(-1, 2, {200}, torch::kLong);  // nothing of class 2
  all.samples = torch::randperm(200, torch::kLong);
  all.places = torch::rand({200, 2});

  NearestSearch search(prototypes, 3);
  for (int64_t first = 0; first < 200; first += 40) {
    const auto part = [&](const torch::Tensor& whole) { return whole.narrow(0, first, 40); };
    search.add({part(all.values), part(all.labels), part(all.samples), part(all.places)});
  }
  const auto found = search.result();
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t k = 0; k < 4; ++k) {
      const auto expected = by_hand(all, prototypes[c][k], c);
      EXPECT_TRUE(found.found(c, k));
      for (int64_t m = 0; m < 3; ++m) {
        const auto sample = found.samples[c][k][m].item<int64_t>();
        EXPECT_EQ(sample, expected[static_cast<size_t>(m)].second);
        EXPECT_NEAR(found.similarities[c][k][m].item<double>(),
                    -expected[static_cast<size_t>(m)].first, 1e-6);
        const auto row = all.samples.eq(sample).nonzero()[0][0].item<int64_t>();
        EXPECT_TRUE(torch::equal(found.points[c][k][m], all.values[row]));
        EXPECT_TRUE(torch::equal(found.places[c][k][m], all.places[row]));
      }
    }
  }
  EXPECT_FALSE(found.found(2, 0));
  EXPECT_TRUE(found.samples[2].eq(-1).all().item<bool>());
}

TEST(NearestSearch, OfAClassWithFewSamplesTheRestIsEmpty) {
  NearestSearch search(unit_points({1, 2, 3}), 2);
  search.add({unit_points({1, 3}), torch::zeros({1}, torch::kLong),
              torch::full({1}, 5, torch::kLong), torch::rand({1, 2})});
  const auto found = search.result();
  EXPECT_TRUE(torch::equal(found.samples[0], torch::tensor({{5, -1}, {5, -1}}, torch::kLong)));
}

TEST(NearestSearch, OfSeveralPointsOfASampleTheNearestCounts) {
  const auto prototypes = unit_points({2, 3, 4});
  NearestSearch::Points all;
  all.values = unit_points({60, 4});
  all.labels = torch::randint(0, 2, {60}, torch::kLong);
  all.samples = torch::arange(10).repeat_interleave(6);
  all.places = torch::rand({60, 2});
  all.several = true;
  NearestSearch search(prototypes, 4);
  for (int64_t first = 0; first < 60; first += 30) {
    const auto part = [&](const torch::Tensor& whole) { return whole.narrow(0, first, 30); };
    search.add({part(all.values), part(all.labels), part(all.samples), part(all.places), true});
  }
  const auto found = search.result();
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t k = 0; k < 3; ++k) {
      std::set<int64_t> seen;
      std::vector<std::pair<double, int64_t>> expected;
      for (const auto& each : by_hand(all, prototypes[c][k], c)) {
        if (seen.insert(each.second).second) expected.push_back(each);
      }
      for (int64_t m = 0; m < 4; ++m) {
        const auto [similarity, sample] = expected.at(static_cast<size_t>(m));
        EXPECT_EQ(found.samples[c][k][m].item<int64_t>(), sample);
        EXPECT_NEAR(found.similarities[c][k][m].item<double>(), -similarity, 1e-6);
        const auto row =
            all.values.matmul(found.points[c][k][m]).argmax().item<int64_t>();  // which point it is
        EXPECT_EQ(all.samples[row].item<int64_t>(), sample);
        EXPECT_TRUE(torch::equal(all.places[row], found.places[c][k][m]));
      }
    }
  }
}

// Two ranks, of which the other has found what it is given.
class TwoRanks final : public Communicator {
 public:
  explicit TwoRanks(NearestSamples other)
      : others_{other.samples, other.similarities, other.places, other.points} {}
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 2; }
  void sum(const std::vector<torch::Tensor>&) override {}
  torch::Tensor gather(const torch::Tensor& tensor) override {
    return torch::cat({tensor, others_.at(calls_++)});
  }

 private:
  std::vector<torch::Tensor> others_;
  size_t calls_ = 0;
};

TEST(NearestSearch, WhatTwoRanksFindIsWhatOneFinds) {
  const auto prototypes = unit_points({3, 2, 5});
  NearestSearch::Points all;
  all.values = unit_points({40, 5});
  all.values[31].copy_(all.values[2]);  // equally near
  all.labels = torch::arange(40) % 2;   // nothing of class 2
  all.labels[31] = 0;
  all.samples = torch::arange(40);
  all.places = torch::rand({40, 2});
  const auto of = [&](const torch::Tensor& rows) {
    NearestSearch search(prototypes, 3);
    const auto part = [&](const torch::Tensor& whole) { return whole.index_select(0, rows); };
    search.add({part(all.values), part(all.labels), part(all.samples), part(all.places)});
    return search.result();
  };
  const auto whole = of(torch::arange(40));
  TwoRanks ranks(of(torch::arange(0, 20)));
  const auto found = gather_nearest(of(torch::arange(20, 40)), torch::kCPU, ranks);
  EXPECT_TRUE(torch::equal(found.samples, whole.samples));
  EXPECT_TRUE(torch::allclose(found.similarities, whole.similarities, 0, 1e-6));
  EXPECT_TRUE(torch::equal(found.places, whole.places));
  EXPECT_TRUE(torch::equal(found.points, whole.points));
}

TEST(NearestSamples, OfImagesAreFoundInOnePass) {
  const auto dataset = std::make_shared<PixelDataset>(23, 2);
  auto model = pixel_model(std::make_shared<PrototypeHead>(unit_points({2, 3, 6})));
  LoaderOptions options;
  options.batch_size = 4;
  Loader loader(dataset, {}, options);
  int64_t passes = 0;
  const auto found =
      find_nearest_samples(model, loader, torch::kCPU, Precision::kFloat32, 1,
                           [&](int64_t done, int64_t all) { passes += done == all; });
  EXPECT_EQ(passes, 1);
  auto& head = *model.prototypes();
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t k = 0; k < 3; ++k) {
      int64_t best = -1;
      double highest = -2;
      for (int64_t i = c; i < 23; i += 2) {
        const auto point = head.project(embedding_of(*dataset, i).unsqueeze(0))[0];
        const double cosine = point.dot(head.prototypes()[c][k]).item<double>();
        if (cosine > highest) std::tie(best, highest) = std::tuple(i, cosine);
      }
      EXPECT_EQ(found.samples[c][k][0].item<int64_t>(), best);
      EXPECT_NEAR(found.similarities[c][k][0].item<double>(), highest, 1e-6);
    }
  }
}

// Pictures of 4 x 4 pixels with a label for each, and half of their size as the embedding map.
class SmallMaps final : public Dataset {
 public:
  int64_t size() const override { return 6; }
  Sample load(int64_t index) const override {
    Sample sample;
    sample.index = index;
    sample.image = Image(4, 4, 3);
    sample.labels = Image(4, 4, 1);
    Random random(3, Purpose::kSample, 0, static_cast<uint64_t>(index));
    for (int64_t i = 0; i < 48; ++i) {
      sample.image.pixels()[i] = static_cast<uint8_t>(random.integer(0, 256));
    }
    for (int64_t i = 0; i < 16; ++i) {
      const auto left = i % 4 < 2;
      sample.labels.pixels()[i] = left ? 0 : index == 2 ? 255 : 1;
    }
    return sample;
  }
  const ClassInfo& classes() const override { return classes_; }
  Task task() const override { return Task::kPixels; }
  std::string name(int64_t index) const override { return "map " + std::to_string(index); }

 private:
  ClassInfo classes_{{"left", "right"}, {}};
};

struct Halved final : Backbone {
  Features forward(const torch::Tensor& images) override {
    return {torch::avg_pool2d(images, {2, 2}) - 0.5};
  }
  std::vector<FeatureShape> shapes() const override { return {{3, 2}}; }
};

struct LastMap final : DecodeHead {
  torch::Tensor forward(const Features& features) override { return features.back(); }
  int64_t channels() const override { return 3; }
};

TEST(NearestSamples, OfPixelsAreFoundWithTheirPlaces) {
  const auto dataset = std::make_shared<SmallMaps>();
  Model model(
      {}, std::make_shared<Halved>(),
      {std::make_shared<LastMap>(), std::make_shared<PrototypeHead>(unit_points({2, 2, 3}))});
  LoaderOptions options;
  options.batch_size = 2;
  Loader loader(dataset, {}, options);
  const auto found = find_nearest_samples(model, loader, torch::kCPU, Precision::kFloat32, 1, {});

  options.batch_size = 6;
  Loader all(dataset, {}, options);
  all.start(0);
  const auto embeddings = model.embed(all.next()->images);  // [6, 3, 2, 2]
  auto& head = *model.prototypes();
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t k = 0; k < 2; ++k) {
      double highest = -2;
      std::vector<double> best;
      for (int64_t i = 0; i < 6; ++i) {
        if (c == 1 && i == 2) continue;  // ignored there
        for (int64_t y = 0; y < 2; ++y) {
          const auto point = head.project(embeddings[i].select(1, y).select(1, c).unsqueeze(0))[0];
          const double cosine = point.dot(head.prototypes()[c][k]).item<double>();
          if (cosine <= highest) continue;
          highest = cosine;
          best = {static_cast<double>(i), y * 0.5 + 0.25, c * 0.5 + 0.25};
        }
      }
      EXPECT_EQ(found.samples[c][k][0].item<double>(), best[0]);
      EXPECT_NEAR(found.similarities[c][k][0].item<double>(), highest, 1e-6);
      EXPECT_FLOAT_EQ(found.places[c][k][0][0].item<float>(), best[1]);
      EXPECT_FLOAT_EQ(found.places[c][k][0][1].item<float>(), best[2]);
    }
  }
}

}  // namespace
}  // namespace dnc
