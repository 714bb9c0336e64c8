#include <gtest/gtest.h>
#include <torch/torch.h>

#include "host/frozen/fit_prototypes.h"
#include "tests/frozen_testing.h"
#include "tests/plugins/heads/dnc_testing.h"

namespace dnc {
namespace {

torch::Tensor unit(const torch::Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, -1, /*keepdim=*/true);
}

DncHead::Options sub_centroids(int64_t K) {
  DncHead::Options options;
  options.sub_centroids = K;
  return options;
}

/// The head filled from pictures whose embeddings are known.
class DncFit : public testing::Test {
 protected:
  FitResult fit(const DncHead::Options& head_options, const FitOptions& fit_options = {}) {
    head_ = make_dnc(head_options, 3, 6);
    auto model = pixel_model(head_);
    ExperimentOptions options;
    options.data.workers = 0;
    options.data.eval_batch_size = 16;
    return fit_prototypes(model, {"train", dataset_, {}}, options, torch::kCPU, fit_options);
  }

  /// Projected embeddings of all samples of a class, float64 [n, 6].
  torch::Tensor points_of(int64_t label) const {
    std::vector<torch::Tensor> points;
    for (int64_t i = label; i < dataset_->size(); i += 3) {
      points.push_back(embedding_of(*dataset_, i).to(torch::kFloat64));
    }
    return unit(torch::stack(points));
  }

  std::shared_ptr<PixelDataset> dataset_ = std::make_shared<PixelDataset>(150, 3);
  std::shared_ptr<DncHead> head_;
};

TEST_F(DncFit, OnePrototypeIsTheDirectionOfTheClassMean) {
  const auto result = fit(sub_centroids(1));
  EXPECT_EQ(result.samples, 150);
  double cosines = 0;
  for (int64_t c = 0; c < 3; ++c) {
    const auto mean = unit(points_of(c).mean(0));
    EXPECT_TRUE(torch::allclose(head_->prototypes()[c][0].to(torch::kFloat64), mean, 0, 1e-6)) << c;
    cosines += points_of(c).matmul(mean).sum().item<double>();
  }
  EXPECT_NEAR(result.mean_cosine, cosines / 150, 1e-6);
}

TEST_F(DncFit, SeveralPrototypesAreNearerThanOne) {
  const auto one = fit(sub_centroids(1));
  const auto four = fit(sub_centroids(4));
  EXPECT_GT(four.mean_cosine, one.mean_cosine + 0.005);
  // Each is the direction of the samples that are nearest to it.
  for (int64_t c = 0; c < 3; ++c) {
    const auto prototypes = head_->prototypes()[c].to(torch::kFloat64);
    const auto points = points_of(c);
    const auto nearest = points.matmul(prototypes.t()).argmax(1);
    for (int64_t k = 0; k < 4; ++k) {
      const auto own = points.index({nearest.eq(k)});
      ASSERT_GT(own.size(0), 0);
      EXPECT_TRUE(torch::allclose(prototypes[k], unit(own.sum(0)), 0, 1e-5)) << c << " " << k;
    }
  }
}

TEST_F(DncFit, TheHeadHasCountedTheSamplesAsInTraining) {
  for (const int64_t K : {1, 4}) {
    auto options = sub_centroids(K);
    options.memory = 8;
    options.start = DncHead::Start::kData;
    fit(options);
    EXPECT_TRUE(torch::allclose(head_->mass().sum(1), torch::ones({3}))) << K;
    EXPECT_EQ(figure(*head_, "refused"), 0);
    // A training that goes on from here does not start anew from its first samples.
    EXPECT_GE(state_copy(*head_).at("started").min().item<int64_t>(), K);
    EXPECT_GT(state_copy(*head_).at("memory.samples").abs().sum().item<double>(), 0);
  }
}

TEST_F(DncFit, ClassifiesTheDataThatItWasFilledFrom) {
  fit(sub_centroids(2));
  int64_t right = 0;
  for (int64_t i = 0; i < 150; ++i) {
    const auto scores = head_->forward(embedding_of(*dataset_, i).unsqueeze(0));
    right += scores.argmax(1).item<int64_t>() == i % 3;
  }
  EXPECT_GT(right, 140);
}

TEST_F(DncFit, MoreSamplesThanTheMemoryHoldsAreDrawn) {
  const double all = 150 * 6 * 4 / double{1 << 30};
  EXPECT_EQ(fit(sub_centroids(2), {.memory = all}).left_out, 0);
  const auto third = fit(sub_centroids(2), {.memory = all / 3});
  EXPECT_EQ(third.samples, 50);
  EXPECT_EQ(third.left_out, 100);
  EXPECT_EQ(fit(sub_centroids(1), {.memory = all / 3}).left_out, 0) << "none is stored";
}

TEST_F(DncFit, AClassWithoutSamplesIsToldAndStaysAsItWas) {
  for (int64_t i = 1; i < 150; i += 3) dataset_->unlabelled.insert(i);
  for (const int64_t K : {1, 2}) {
    torch::manual_seed(5);
    const auto before = make_dnc(sub_centroids(K), 3, 6)->prototypes();
    torch::manual_seed(5);
    EXPECT_EQ(fit(sub_centroids(K)).empty_classes, std::vector<int64_t>{1});
    EXPECT_TRUE(torch::equal(head_->prototypes()[1], before[1]));
    EXPECT_FALSE(torch::equal(head_->prototypes()[0], before[0]));
  }
}

}  // namespace
}  // namespace dnc
