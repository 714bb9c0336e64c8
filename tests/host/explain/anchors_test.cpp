#include "host/explain/anchors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/frozen_testing.h"
#include "tests/host/explain/prototype_head.h"

namespace dnc {
namespace {

constexpr double kNothing = -std::numeric_limits<double>::infinity();

// Candidates [1, K, M] with these samples and similarities, and their number as their point.
NearestSamples candidates(const std::vector<std::vector<int64_t>>& samples,
                          const std::vector<std::vector<double>>& similarities) {
  const auto K = static_cast<int64_t>(samples.size());
  const auto M = static_cast<int64_t>(samples.front().size());
  NearestSamples nearest;
  nearest.samples = torch::empty({1, K, M}, torch::kLong);
  nearest.similarities = torch::empty({1, K, M});
  for (int64_t k = 0; k < K; ++k) {
    for (int64_t m = 0; m < M; ++m) {
      const auto row = static_cast<size_t>(k), column = static_cast<size_t>(m);
      nearest.samples[0][k][m] = samples[row][column];
      nearest.similarities[0][k][m] = similarities[row][column];
    }
  }
  nearest.points = nearest.samples.unsqueeze(3).to(torch::kFloat32);
  nearest.places = torch::stack({nearest.similarities, nearest.similarities}, 3);
  return nearest;
}

TEST(Anchors, TheNearestOfAllStaysWhereNobodyElseWantsIt) {
  const auto found = choose_distinct(candidates({{7, 3}, {5, 7}}, {{0.9, 0.8}, {0.7, 0.6}}));
  EXPECT_TRUE(torch::equal(found.samples, torch::tensor({{{7}, {5}}}, torch::kLong)));
  EXPECT_TRUE(torch::equal(found.points.flatten(), torch::tensor({7.0f, 5.0f})));
}

TEST(Anchors, OneThatTwoWantGoesWhereTheSumIsHighest) {
  // Greedy would give 7 to the first and 1 to the second: 0.9 + 0.1 against 0.8 + 0.85.
  const auto found = choose_distinct(candidates({{7, 3}, {7, 1}}, {{0.9, 0.8}, {0.85, 0.1}}));
  EXPECT_TRUE(torch::equal(found.samples, torch::tensor({{{3}, {7}}}, torch::kLong)));
  EXPECT_TRUE(torch::allclose(found.similarities, torch::tensor({{{0.8f}, {0.85f}}})));
}

TEST(Anchors, OfAClassWithFewerImagesThanPrototypesSomeHaveNone) {
  const auto found =
      choose_distinct(candidates({{4, -1}, {4, -1}}, {{0.3, kNothing}, {0.5, kNothing}}));
  EXPECT_TRUE(torch::equal(found.samples, torch::tensor({{{-1}, {4}}}, torch::kLong)));
  EXPECT_FALSE(found.found(0, 0));
}

// A head whose prototypes can be replaced.
struct MovableHead final : Head, Prototypes {
  explicit MovableHead(torch::Tensor start) : inner(std::move(start)) {}
  torch::Tensor forward(const torch::Tensor& embeddings) override {
    return inner.forward(embeddings);
  }
  torch::Tensor prototypes() const override { return inner.prototypes(); }
  torch::Tensor project(const torch::Tensor& embeddings) override {
    return inner.project(embeddings);
  }
  torch::Tensor mass() const override { return inner.mass(); }
  void set_prototypes(const torch::Tensor& classes, const torch::Tensor& indices,
                      const torch::Tensor& points) override {
    inner.points.index_put_({classes, indices}, points);
  }
  std::vector<std::pair<std::string, double>> figures() const override { return {}; }

  PrototypeHead inner;
};

ExperimentOptions small_batches() {
  ExperimentOptions options;
  options.data.eval_batch_size = 4;
  options.data.workers = 0;
  return options;
}

Anchors anchored(Model& model, std::shared_ptr<const Dataset> dataset,
                 Communicator&& communicator = SingleProcess()) {
  return anchor_prototypes(model, {"train", std::move(dataset), {}}, small_batches(), torch::kCPU,
                           communicator, {});
}

TEST(Anchors, EachPrototypeBecomesThePointOfAnImageOfItsOwn) {
  const auto dataset = std::make_shared<PixelDataset>(23, 2);
  const auto before = unit_points({2, 4, 6});
  auto model = pixel_model(std::make_shared<MovableHead>(before.clone()));
  const auto anchors = anchored(model, dataset);
  auto& head = *model.prototypes();
  EXPECT_EQ(anchors.count(), 8);
  EXPECT_EQ(anchors.samples.searched, 23);
  std::set<int64_t> images;
  for (int64_t c = 0; c < 2; ++c) {
    for (int64_t k = 0; k < 4; ++k) {
      const auto sample = anchors.samples.nearest.samples[c][k][0].item<int64_t>();
      EXPECT_EQ(sample % 2, c) << "of its own class";
      images.insert(sample);
      const auto point = head.project(embedding_of(*dataset, sample).unsqueeze(0))[0];
      EXPECT_TRUE(torch::allclose(head.prototypes()[c][k], point));
      EXPECT_NEAR(anchors.samples.nearest.similarities[c][k][0].item<double>(),
                  point.dot(before[c][k]).item<double>(), 1e-6);
      EXPECT_EQ(anchors.samples.names[static_cast<size_t>(c * 4 + k)], dataset->name(sample));
    }
  }
  EXPECT_EQ(images.size(), 8u);
  EXPECT_LE(anchors.least_similarity(), anchors.mean_similarity());
}

// The best sum of cosines over all images of a class, by trying all of them.
double best_sum(const torch::Tensor& cosines, int64_t k, std::set<int64_t>& taken) {
  if (k == cosines.size(1)) return 0;
  double best = kNothing;
  for (int64_t i = 0; i < cosines.size(0); ++i) {
    if (!taken.insert(i).second) continue;
    best = std::max(best, cosines[i][k].item<double>() + best_sum(cosines, k + 1, taken));
    taken.erase(i);
  }
  return best;
}

TEST(Anchors, TheSumOfSimilaritiesIsTheHighestOfAllImages) {
  const auto dataset = std::make_shared<PixelDataset>(18, 2);
  for (int trial = 0; trial < 5; ++trial) {
    // Prototypes near each other want the same images.
    auto start = torch::ones({2, 3, 6}) + 0.1 * torch::randn({2, 3, 6});
    start = torch::nn::functional::normalize(start,
                                             torch::nn::functional::NormalizeFuncOptions().dim(-1));
    auto model = pixel_model(std::make_shared<MovableHead>(start.clone()));
    auto& head = *model.prototypes();
    const auto anchors = anchored(model, dataset);
    for (int64_t c = 0; c < 2; ++c) {
      std::vector<torch::Tensor> points;
      for (int64_t i = c; i < 18; i += 2) points.push_back(embedding_of(*dataset, i));
      const auto cosines = head.project(torch::stack(points)).matmul(start[c].t());
      std::set<int64_t> taken;
      EXPECT_NEAR(anchors.samples.nearest.similarities[c].sum().item<double>(),
                  best_sum(cosines, 0, taken), 1e-5);
    }
  }
}

// Each sample three times, under one name.
class Thrice final : public Dataset {
 public:
  int64_t size() const override { return 24; }
  Sample load(int64_t index) const override {
    auto sample = source_.load(index % 8);
    sample.index = index;
    return sample;
  }
  const ClassInfo& classes() const override { return source_.classes(); }
  std::string name(int64_t index) const override { return source_.name(index % 8); }

 private:
  PixelDataset source_{8, 2};
};

TEST(Anchors, ARepeatedSampleIsOneImage) {
  auto model = pixel_model(std::make_shared<MovableHead>(unit_points({2, 4, 6})));
  const auto anchors = anchored(model, std::make_shared<Thrice>());
  EXPECT_EQ(anchors.samples.searched, 8);
  const std::set<std::string> names(anchors.samples.names.begin(), anchors.samples.names.end());
  EXPECT_EQ(names.size(), 8u);
  EXPECT_LT(anchors.samples.nearest.samples.max().item<int64_t>(), 8);
}

TEST(Anchors, AClassWithFewImagesKeepsSomePrototypesAndDamagedOnesAreLeftOut) {
  const auto dataset = std::make_shared<PixelDataset>(6, 2);
  dataset->damaged = {2};
  const auto before = unit_points({2, 3, 6});
  auto model = pixel_model(std::make_shared<MovableHead>(before.clone()));
  const auto anchors = anchored(model, dataset);
  EXPECT_EQ(anchors.count(), 5);
  ASSERT_EQ(anchors.bad_samples.size(), 1u);
  EXPECT_EQ(anchors.samples.searched, 5);
  int64_t kept = 0;
  for (int64_t k = 0; k < 3; ++k) {
    kept += torch::equal(model.prototypes()->prototypes()[0][k], before[0][k]) ? 1 : 0;
  }
  EXPECT_EQ(kept, 1);
  const auto json = nlohmann::json::parse(to_json(anchors, dataset->classes(), Task::kImages, {}));
  int64_t without = 0;
  for (const auto& anchor : json["anchors"]) without += anchor["index"].is_null() ? 1 : 0;
  EXPECT_EQ(without, 1);
  EXPECT_FALSE(json.contains("figures"));
}

TEST(Anchors, WithoutAGoodSampleIsAnError) {
  const auto dataset = std::make_shared<PixelDataset>(2, 2);
  dataset->damaged = {0, 1};
  auto model = pixel_model(std::make_shared<MovableHead>(unit_points({2, 2, 6})));
  try {
    anchored(model, dataset);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const DataError& error) {
    EXPECT_STREQ(error.what(), "pixel #0: damaged; and no other sample is good");
  }
}

TEST(Anchors, AreWrittenAsJsonAndCsv) {
  Anchors anchors;
  anchors.samples.searched = 9;
  anchors.samples.names = {"a,b.png", ""};
  anchors.samples.nearest =
      choose_distinct(candidates({{4, -1}, {4, -1}}, {{0.5, kNothing}, {0.25, kNothing}}));
  const ClassInfo classes{{"cat"}, {}};
  const auto json = nlohmann::json::parse(
      to_json(anchors, classes, Task::kPixels, {{"before", {{"top1", 0.5}}}}));
  EXPECT_EQ(json["sub_centroids"], 2);
  EXPECT_EQ(json["training_samples_searched"], 9);
  EXPECT_EQ(json["figures"]["before"]["top1"], 0.5);
  EXPECT_EQ(json["anchors"][0], (nlohmann::json{{"class", "cat"},
                                                {"sub_centroid", 0},
                                                {"index", 4},
                                                {"name", "a,b.png"},
                                                {"similarity", 0.5},
                                                {"place", {0.5, 0.5}}}));
  EXPECT_EQ(to_csv(anchors, classes),
            "class,sub_centroid,index,name,similarity,across,down\r\n"
            "cat,0,4,\"a,b.png\",0.500000,0.5000,0.5000\r\n"
            "cat,1,,,,,\r\n");
}

}  // namespace
}  // namespace dnc
