// The operators as Python calls them, by name, each against plain operators of LibTorch.
// plugins/heads/dnc_*_test.cpp have more of what the DNC head uses.
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <string>
#include <tuple>
#include <vector>

#include "ops/nearest.h"

namespace dnc {
namespace {

using torch::Tensor;
using Two = std::tuple<Tensor, Tensor>;

template <typename Signature>
auto op(const std::string& name) {
  return c10::Dispatcher::singleton()
      .findSchemaOrThrow(("dnc::" + name).c_str(), "")
      .typed<Signature>();
}

Tensor nearest_scores(const Tensor& x, const Tensor& prototypes, double factor) {
  return op<Tensor(const Tensor&, const Tensor&, double)>("nearest_scores")
      .call(x, prototypes, factor);
}

Two sinkhorn_shares(const Tensor& similarities, const Tensor& labels, int64_t classes,
                    int64_t iterations, double epsilon) {
  return op<Two(const Tensor&, const Tensor&, int64_t, int64_t, double)>("sinkhorn")
      .call(similarities, labels, classes, iterations, epsilon);
}

Two segment_mean(const Tensor& values, const Tensor& segments, int64_t size) {
  return op<Two(const Tensor&, const Tensor&, int64_t)>("segment_mean")
      .call(values, segments, size);
}

void momentum_update(Tensor& table, const Tensor& points, const Tensor& rows, double momentum) {
  op<void(Tensor&, const Tensor&, const Tensor&, double)>("momentum_update_")
      .call(table, points, rows, momentum);
}

Tensor count_confusion(const Tensor& predictions, const Tensor& labels, int64_t classes) {
  return op<Tensor(const Tensor&, const Tensor&, int64_t)>("count_confusion")
      .call(predictions, labels, classes);
}

Tensor normalize_images(const Tensor& images, std::vector<double> mean, std::vector<double> std,
                        at::ScalarType dtype) {
  return op<Tensor(const Tensor&, at::ArrayRef<double>, at::ArrayRef<double>, at::ScalarType)>(
             "normalize_images")
      .call(images, mean, std, dtype);
}

Tensor unit(const Tensor& x) { return x / x.norm(2, -1, /*keepdim=*/true); }

// Float64; 1e-10 of values around 1.
TEST(NearestScores, AreTheLargestCosinesOfEachClassTimesTheFactor) {
  torch::manual_seed(1);
  const auto prototypes = unit(torch::randn({7, 3, 9}, torch::kDouble));
  for (const auto& shape : {std::vector<int64_t>{9}, {5, 9}, {2, 4, 6, 9}}) {
    const auto x = torch::randn(shape, torch::kDouble).requires_grad_();
    const auto scores = nearest_scores(x, prototypes, 10);
    const auto expected = 10 * torch::einsum("...d,ckd->...ck", {unit(x), prototypes}).amax(-1);
    EXPECT_TRUE(torch::allclose(scores, expected, 0, 1e-10));
    const auto weights = torch::randn_like(expected);
    EXPECT_TRUE(torch::allclose(torch::autograd::grad({(scores * weights).sum()}, {x})[0],
                                torch::autograd::grad({(expected * weights).sum()}, {x})[0], 0,
                                1e-10));
  }
}

TEST(NearestScores, AreWhatTheFunctionForCppGives) {
  const auto x = torch::randn({70, 5}), prototypes = unit(torch::randn({20, 2, 5}));
  EXPECT_TRUE(torch::equal(nearest_scores(x, prototypes, 2), nearest_cosine(x, prototypes, 2)));
}

TEST(NearestScores, HaveNoSecondDerivativeAndSaySo) {
  const auto x = torch::randn({4, 5}).requires_grad_();
  const auto scores = nearest_scores(x, unit(torch::randn({3, 2, 5})), 1);
  const auto slope = torch::autograd::grad({scores.sum()}, {x}, {}, true, /*create_graph=*/true)[0];
  EXPECT_THROW(slope.sum().backward(), c10::Error);
}

TEST(NearestScores, RefuseWhatDoesNotFit) {
  const auto prototypes = unit(torch::randn({3, 2, 5}));
  EXPECT_THROW(nearest_scores(torch::rand({4, 6}), prototypes, 1), c10::Error);
  EXPECT_THROW(nearest_scores(torch::rand({4, 5}, torch::kDouble), prototypes, 1), c10::Error);
  EXPECT_THROW(nearest_scores(torch::rand({4, 5}), prototypes[0], 1), c10::Error);
  EXPECT_THROW(nearest_scores(torch::rand({4, 5}), torch::rand({3, 257, 5}), 1), c10::Error);
}

/// Sinkhorn-Knopp of one class as the paper has it.
Tensor plain_sinkhorn(const Tensor& similarities, int64_t iterations, double epsilon) {
  auto plan = (similarities / epsilon).exp();
  for (int64_t i = 0; i < iterations; ++i) {
    plan = plan / plan.sum(0, /*keepdim=*/true);
    plan = plan / plan.sum(1, /*keepdim=*/true);
  }
  return plan;
}

// Float64; 1e-9 of shares.
TEST(SinkhornShares, AreThoseOfEachClassAlone) {
  torch::manual_seed(2);
  const auto similarities = torch::rand({60, 4}, torch::kDouble) * 2 - 1;
  const auto labels = torch::randint(-1, 3, {60});
  for (const int64_t classes : {3, 500}) {
    const auto [shares, index] = sinkhorn_shares(similarities, labels, classes, 3, 0.5);
    for (int64_t c = 0; c < 3; ++c) {
      const auto own = labels.eq(c);
      EXPECT_TRUE(torch::allclose(shares.index({own}),
                                  plain_sinkhorn(similarities.index({own}), 3, 0.5), 0, 1e-9));
    }
    EXPECT_EQ(shares.index({labels.lt(0)}).abs().sum().item<double>(), 0);
    EXPECT_TRUE(torch::equal(index.lt(0), labels.lt(0)));
  }
  EXPECT_THROW(sinkhorn_shares(similarities, labels, 2, 3, 0.5), c10::Error);
  EXPECT_THROW(sinkhorn_shares(similarities, labels, 3, 0, 0.5), c10::Error);
}

TEST(SegmentMean, IsTheMeanOfEachSegmentAndDifferentiable) {
  torch::manual_seed(3);
  const auto segments = torch::randint(-1, 5, {40});
  for (const int64_t size : {6, 100}) {  // fewer and more than rows
    const auto values = torch::randn({40, 3}, torch::kDouble).requires_grad_();
    const auto [means, counts] = segment_mean(values, segments, size);
    const auto spread = torch::one_hot(segments.clamp_min(0), size).to(torch::kDouble) *
                        segments.ge(0).unsqueeze(1);
    const auto expected = spread.t().matmul(values) / spread.sum(0).clamp_min(1).unsqueeze(1);
    EXPECT_TRUE(torch::allclose(means, expected, 0, 1e-12));
    EXPECT_TRUE(torch::equal(counts, spread.sum(0)));
    const auto weights = torch::randn_like(means);
    EXPECT_TRUE(torch::allclose(torch::autograd::grad({(means * weights).sum()}, {values})[0],
                                torch::autograd::grad({(expected * weights).sum()}, {values})[0], 0,
                                1e-12));
  }
  EXPECT_THROW(segment_mean(torch::rand({40, 3}), segments, 4), c10::Error);
  EXPECT_THROW(segment_mean(torch::rand({40, 3}), torch::zeros({39}, torch::kLong), 4), c10::Error);
}

TEST(MomentumUpdate, MovesTheRowsThatGotPoints) {
  torch::manual_seed(4);
  const auto rows = torch::tensor({0, 2, 2, -1, 0});
  for (const int64_t size : {4, 50}) {
    const auto before = unit(torch::randn({size, 6}, torch::kDouble));
    const auto points = unit(torch::randn({5, 6}, torch::kDouble));
    auto table = before.clone();
    momentum_update(table, points, rows, 0.9);
    auto expected = before.clone();
    expected[0] = unit(0.9 * before[0] + 0.1 * (points[0] + points[4]) / 2);
    expected[2] = unit(0.9 * before[2] + 0.1 * (points[1] + points[2]) / 2);
    EXPECT_TRUE(torch::allclose(table, expected, 0, 1e-12));
    EXPECT_TRUE(torch::equal(table[1], before[1]));
  }
  auto small = torch::rand({2, 6});
  EXPECT_THROW(momentum_update(small, torch::rand({5, 6}), rows, 0.9), c10::Error);
}

TEST(CountConfusion, CountsEachPairOfKnownNumbers) {
  torch::manual_seed(5);
  for (const auto& [size, classes] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 3}, {1, 1}, {1000, 7}, {600000, 150}, {300000, 700}}) {
    const auto labels = torch::randint(-1, classes + 1, {size}),
               predictions = torch::randint(-1, classes + 1, {size});
    const auto known =
        labels.ge(0) & labels.lt(classes) & predictions.ge(0) & predictions.lt(classes);
    const auto expected =
        torch::bincount((labels * classes + predictions).index({known}), {}, classes * classes)
            .view({classes, classes});
    EXPECT_TRUE(torch::equal(count_confusion(predictions, labels, classes), expected)) << size;
  }
  const auto map = torch::randint(0, 3, {2, 5, 6});
  EXPECT_EQ(count_confusion(map, map, 3).sum().item<int64_t>(), 60);
  EXPECT_THROW(count_confusion(map, map[0], 3), c10::Error);
  EXPECT_THROW(count_confusion(map.to(torch::kInt), map, 3), c10::Error);
  EXPECT_THROW(count_confusion(map, map, 0), c10::Error);
}

// To the bit: both compute (x - mean) * (1 / std) in float32 and round once.
TEST(NormalizeImages, GivesTheSameBitsFromAnyLayout) {
  torch::manual_seed(6);
  const std::vector<double> mean{120.5, 110.25, 100.125, 3}, std{60.1, 58.2, 57.3, 2};
  for (const int64_t channels : {1, 3, 4}) {
    const auto bytes = torch::randint(0, 256, {3, channels, 13, 21}, torch::kUInt8);
    const std::vector<double> m(mean.begin(), mean.begin() + channels),
        s(std.begin(), std.begin() + channels);
    const auto view = [](const std::vector<double>& values) {
      return torch::tensor(values, torch::kFloat).view({1, -1, 1, 1});
    };
    const auto expected = (bytes.to(torch::kFloat) - view(m)) * view(s).reciprocal();
    const auto packed = bytes.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
    for (const auto& images : {bytes, packed, torch::cat({bytes, bytes}, 3).narrow(3, 0, 21)}) {
      for (const auto dtype : {torch::kFloat, torch::kBFloat16, torch::kHalf, torch::kDouble}) {
        const auto found = normalize_images(images, m, s, dtype);
        EXPECT_TRUE(torch::equal(found, expected.to(dtype)));
        EXPECT_TRUE(found.is_contiguous(at::MemoryFormat::ChannelsLast));
      }
    }
  }
}

TEST(NormalizeImages, RefusesWhatDoesNotFit) {
  const auto images = torch::zeros({1, 3, 2, 2}, torch::kUInt8);
  const std::vector<double> three{1, 1, 1};
  EXPECT_THROW(normalize_images(images.to(torch::kFloat), three, three, torch::kFloat), c10::Error);
  EXPECT_THROW(normalize_images(images[0], three, three, torch::kFloat), c10::Error);
  EXPECT_THROW(normalize_images(images, {1}, {1}, torch::kFloat), c10::Error);
  EXPECT_THROW(normalize_images(images, three, {1, 1}, torch::kFloat), c10::Error);
  EXPECT_THROW(normalize_images(images, three, three, torch::kLong), c10::Error);
}

}  // namespace
}  // namespace dnc
