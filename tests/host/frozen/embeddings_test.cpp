#include "host/frozen/embeddings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "tests/frozen_testing.h"

namespace dnc {
namespace {

using ::testing::StartsWith;

struct NoScores final : Head {
  torch::Tensor forward(const torch::Tensor&) override {
    throw std::logic_error("embeddings need no head");
  }
};

class EmbeddingsTest : public testing::Test {
 protected:
  Embeddings collect(const Progressed& progressed = {}) {
    LoaderOptions options;
    options.batch_size = 4;
    options.replace_bad = false;
    options.max_bad_samples = 3;
    Loader loader(dataset_, {}, options);
    return collect_embeddings(model_, loader, torch::kCPU, Precision::kFloat32, progressed);
  }

  std::shared_ptr<PixelDataset> dataset_ = std::make_shared<PixelDataset>(10, 3);
  Model model_ = pixel_model(std::make_shared<NoScores>());
};

TEST_F(EmbeddingsTest, AreThoseOfEachSampleInOrder) {
  std::vector<std::pair<int64_t, int64_t>> steps;
  const auto found = collect([&](int64_t done, int64_t all) { steps.emplace_back(done, all); });
  ASSERT_EQ(found.values.sizes(), (std::vector<int64_t>{10, 6}));
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(torch::allclose(found.values[i], embedding_of(*dataset_, i), 0, 1e-6)) << i;
    EXPECT_EQ(found.labels[i].item<int64_t>(), i % 3);
  }
  EXPECT_EQ(steps, (std::vector<std::pair<int64_t, int64_t>>{{1, 3}, {2, 3}, {3, 3}}));
}

TEST_F(EmbeddingsTest, LeaveOutWhatIsDamagedOrHasNoLabel) {
  dataset_->damaged = {1};
  dataset_->unlabelled = {0, 8};
  const auto found = collect();
  ASSERT_EQ(found.values.size(0), 7);
  EXPECT_TRUE(torch::equal(found.labels, torch::tensor({2, 0, 1, 2, 0, 1, 0}, torch::kLong)));
  EXPECT_TRUE(torch::allclose(found.values[0], embedding_of(*dataset_, 2), 0, 1e-6));
}

TEST_F(EmbeddingsTest, OfNoUseAreRefusedWithTheNameOfTheSample) {
  class White final : public Transform {
    void apply(Sample& sample, Random&) const override {
      if (sample.index == 6) std::fill_n(sample.image.pixels(), 6, uint8_t{255});
    }
  };
  LoaderOptions options;
  options.batch_size = 4;
  Loader loader(dataset_, {std::make_shared<White>()}, options);
  try {
    collect_embeddings(model_, loader, torch::kCPU, Precision::kFloat32);
    FAIL() << "the embedding of #6 is not a number";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), StartsWith("pixel #6: its embedding is not finite; "));
  }
}

TEST_F(EmbeddingsTest, OfNoSampleAreAnError) {
  for (int64_t i = 0; i < 10; ++i) dataset_->unlabelled.insert(i);
  EXPECT_THROW(collect(), DataError);
}

TEST(DrawSamples, TakesEachAtMostOnceAndTheSameForTheSameSeed) {
  const auto whole = std::make_shared<PixelDataset>(100, 5);
  const auto part = draw_samples(whole, 30, 1);
  ASSERT_EQ(part->size(), 30);
  std::set<std::string> names;
  for (int64_t i = 0; i < 30; ++i) {
    names.insert(part->name(i));
    EXPECT_EQ(part->load(i).index, i);
    EXPECT_EQ(part->name(i), "pixel #" + std::to_string(std::stoll(part->name(i).substr(7))));
    EXPECT_EQ(part->load(i).label, std::stoll(part->name(i).substr(7)) % 5);
  }
  EXPECT_EQ(names.size(), 30u);
  const auto again = draw_samples(whole, 30, 1), other = draw_samples(whole, 30, 2);
  int64_t differ = 0;
  for (int64_t i = 0; i < 30; ++i) {
    EXPECT_EQ(again->name(i), part->name(i));
    differ += other->name(i) != part->name(i);
  }
  EXPECT_GT(differ, 0);
  EXPECT_EQ(draw_samples(whole, 100, 1), whole) << "all of them need no drawing";
}

}  // namespace
}  // namespace dnc
