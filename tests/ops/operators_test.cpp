// The operators as Python calls them, by name, each against plain operators of LibTorch.
// plugins/heads/dnc_*_test.cpp have more of what the DNC head uses.
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ops/batch_norm_relu.h"
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
                        at::ScalarType dtype, const std::optional<Tensor>& corners = {},
                        std::vector<int64_t> size = {}, const std::optional<Tensor>& flips = {}) {
  using Normalize =
      Tensor(const Tensor&, at::ArrayRef<double>, at::ArrayRef<double>, at::ScalarType,
             const std::optional<Tensor>&, at::OptionalIntArrayRef, const std::optional<Tensor>&);
  const auto of_result = size.empty() ? at::OptionalIntArrayRef() : at::OptionalIntArrayRef(size);
  return op<Normalize>("normalize_images")
      .call(images, mean, std, dtype, corners, of_result, flips);
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

// D = 0 would be divided by.
TEST(NearestScores, RefuseRowsWithoutNumbers) {
  EXPECT_THROW(nearest_scores(torch::rand({64, 0}), torch::rand({16, 1, 0}), 1), c10::Error);
}

TEST(NearestBackward, RefusesWhatTheForwardPassDoesNotGive) {
  const auto x = torch::rand({100, 5}), prototypes = unit(torch::randn({3, 2, 5}));
  const auto backward = [&](const Tensor& gradient, const Tensor& index, const Tensor& scale) {
    op<Tensor(const Tensor&, const Tensor&, const Tensor&, const Tensor&, const Tensor&, double)>(
        "nearest_backward")
        .call(gradient, x, prototypes, index, scale, 1);
  };
  const auto gradient = torch::rand({100, 3}), scale = torch::rand({100});
  const auto index = torch::ones({100, 3}, torch::kUInt8);
  backward(gradient, index, scale);
  EXPECT_THROW(backward(gradient, index.narrow(0, 0, 1), scale), c10::Error);
  EXPECT_THROW(backward(gradient.narrow(0, 0, 1), index, scale), c10::Error);
  EXPECT_THROW(backward(gradient, index, scale.narrow(0, 0, 1)), c10::Error);
  EXPECT_THROW(backward(gradient.to(torch::kDouble), index, scale), c10::Error);
  EXPECT_THROW(backward(gradient, index.to(torch::kLong), scale), c10::Error);
  EXPECT_THROW(backward(gradient, index * 2, scale), c10::Error) << "a place beyond the prototypes";
}

// What PyTorch asks before it runs anything: sizes alone.
TEST(Meta, RefusesWhatTheKernelsRefuse) {
  const auto meta = torch::TensorOptions(torch::kMeta);
  const auto labels = torch::empty({4}, meta.dtype(torch::kLong));
  const auto x = torch::empty({4, 5}, meta), prototypes = torch::empty({3, 2, 5}, meta);
  EXPECT_EQ(nearest_scores(x, prototypes, 1).sizes(), (std::vector<int64_t>{4, 3}));
  EXPECT_THROW(nearest_scores(torch::empty({}, meta), prototypes, 1), c10::Error);
  EXPECT_THROW(nearest_scores(x, prototypes.select(0, 0), 1), c10::Error);
  EXPECT_THROW(nearest_scores(x, torch::rand({3, 2, 5}), 1), c10::Error) << "on another device";
  EXPECT_THROW(sinkhorn_shares(x, labels.narrow(0, 0, 3), 2, 3, 0.1), c10::Error);
  EXPECT_THROW(segment_mean(x, labels.narrow(0, 0, 3), 2), c10::Error);
  EXPECT_THROW(count_confusion(labels, labels.narrow(0, 0, 3), 2), c10::Error);
  auto table = torch::empty({7, 6}, meta);
  EXPECT_THROW(momentum_update(table, x, labels, 0.9), c10::Error);
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

// To the bit; the crop is made with LibTorch's operators.
TEST(NormalizeImages, CropsAndMirrorsEachImageInItsOwnWay) {
  torch::manual_seed(7);
  const std::vector<double> mean{120, 110, 100}, std{60, 58, 57};
  const auto bytes = torch::randint(0, 256, {4, 3, 13, 21}, torch::kUInt8);
  // Inside, over two borders, over the other two, and outside.
  const auto corners = torch::tensor({{1, 2}, {-3, -4}, {9, 15}, {0, 40}});
  const auto flips = torch::tensor({false, true, true, false});
  const int64_t h = 8, w = 10, border = 64;
  const auto padded = torch::constant_pad_nd(bytes, {border, border, border, border});
  std::vector<Tensor> crops;
  for (int64_t i = 0; i < 4; ++i) {
    const auto crop = padded[i]
                          .narrow(1, border + corners[i][0].item<int64_t>(), h)
                          .narrow(2, border + corners[i][1].item<int64_t>(), w);
    crops.push_back(flips[i].item<bool>() ? crop.flip({2}) : crop);
  }
  const auto packed = bytes.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
  for (const auto& images : {bytes, packed}) {
    for (const auto dtype : {torch::kFloat, torch::kBFloat16, torch::kHalf, torch::kDouble}) {
      EXPECT_TRUE(torch::equal(normalize_images(images, mean, std, dtype, corners, {h, w}, flips),
                               normalize_images(torch::stack(crops), mean, std, dtype)));
    }
  }
  EXPECT_TRUE(torch::equal(
      normalize_images(bytes, mean, std, torch::kFloat, {}, {}, torch::ones({4}, torch::kBool)),
      normalize_images(bytes, mean, std, torch::kFloat).flip({3})));
}

TEST(NormalizeImages, RefusesCropsThatDoNotFit) {
  const auto images = torch::zeros({2, 1, 4, 4}, torch::kUInt8);
  const auto crop = [&](const std::optional<Tensor>& corners, std::vector<int64_t> size,
                        const std::optional<Tensor>& flips) {
    return normalize_images(images, {1}, {1}, torch::kFloat, corners, size, flips);
  };
  EXPECT_NO_THROW(crop(torch::zeros({2, 2}, torch::kLong), {3, 3}, {}));
  EXPECT_THROW(crop(torch::zeros({3, 2}, torch::kLong), {3, 3}, {}), c10::Error);
  EXPECT_THROW(crop(torch::zeros({2, 2}), {3, 3}, {}), c10::Error);
  EXPECT_THROW(crop({}, {3}, {}), c10::Error);
  EXPECT_THROW(crop({}, {3, 0}, {}), c10::Error);
  EXPECT_THROW(crop({}, {}, torch::zeros({2})), c10::Error);
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

/// Arguments of batch_norm_relu in float64, in channels-last memory.
struct NormArguments {
  Tensor x = images(), residual = images();
  Tensor weight = torch::rand({5}, torch::kDouble) + 0.5, bias = torch::randn({5}, torch::kDouble);
  Tensor running_mean = torch::randn({5}, torch::kDouble),
         running_var = torch::rand({5}, torch::kDouble) + 0.5;

  static Tensor images() {
    return torch::randn({3, 5, 4, 6}, torch::kDouble).contiguous(at::MemoryFormat::ChannelsLast);
  }
  std::vector<Tensor> leaves() const { return {x, residual, weight, bias}; }
};

// Float64; 1e-10 of values around 1.
TEST(BatchNormRelu, IsReluOfTheNormAndTheResidual) {
  torch::manual_seed(8);
  for (const bool training : {true, false}) {
    for (const bool added : {true, false}) {
      NormArguments in;
      for (auto each : in.leaves()) each.requires_grad_();
      auto mean = in.running_mean.clone(), variance = in.running_var.clone();
      auto plain = torch::batch_norm(in.x, in.weight, in.bias, mean, variance, training, 0.2, 1e-3,
                                     /*cudnn_enabled=*/false);
      plain = (added ? plain + in.residual : plain).relu();
      const auto residual = added ? std::optional(in.residual) : std::nullopt;
      const auto y = batch_norm_relu(in.x, residual, in.weight, in.bias, in.running_mean,
                                     in.running_var, training, 0.2, 1e-3);
      EXPECT_TRUE(torch::allclose(y, plain, 0, 1e-10));
      EXPECT_TRUE(y.is_contiguous(at::MemoryFormat::ChannelsLast));
      EXPECT_TRUE(torch::allclose(in.running_mean, mean, 0, 1e-12));
      EXPECT_TRUE(torch::allclose(in.running_var, variance, 0, 1e-12));
      const auto slope = torch::randn_like(y);
      const auto gradients = [&](const Tensor& result) {
        return torch::autograd::grad({(result * slope).sum()}, in.leaves(), {}, std::nullopt,
                                     /*create_graph=*/false, /*allow_unused=*/true);
      };
      const auto found = gradients(y), expected = gradients(plain);
      for (size_t i = 0; i < found.size(); ++i) {
        ASSERT_EQ(found[i].defined(), expected[i].defined());
        if (!found[i].defined()) continue;
        EXPECT_TRUE(torch::allclose(found[i], expected[i], 0, 1e-10)) << i;
      }
    }
  }
}

// bfloat16 rounds the norm, the sum and the result: 3 % of values around 1.
TEST(BatchNormRelu, TakesHalfPrecisionBesideFloat32) {
  torch::manual_seed(9);
  const auto x = NormArguments::images().to(torch::kBFloat16);
  const auto weight = torch::rand({5}), bias = torch::randn({5});
  auto mean = torch::zeros({5}), variance = torch::ones({5});
  const auto y = batch_norm_relu(x, x, weight, bias, mean, variance, true);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  EXPECT_EQ(mean.scalar_type(), torch::kFloat);
  auto exact_mean = torch::zeros({5}), exact_variance = torch::ones({5});
  const auto exact = x.to(torch::kFloat);
  const auto expected =
      batch_norm_relu(exact, exact, weight, bias, exact_mean, exact_variance, true);
  EXPECT_TRUE(torch::allclose(y.to(torch::kFloat), expected, 0.03, 0.03));
}

TEST(BatchNormRelu, HasNoSecondDerivativeAndSaysSo) {
  NormArguments in;
  in.x.requires_grad_();
  const auto y =
      batch_norm_relu(in.x, {}, in.weight, in.bias, in.running_mean, in.running_var, true);
  const auto slope = torch::autograd::grad({y.square().sum()}, {in.x}, {}, true, true)[0];
  EXPECT_THROW(slope.sum().backward(), c10::Error);
}

TEST(BatchNormRelu, RefusesWhatDoesNotFit) {
  NormArguments in;
  const auto norm = [&](const Tensor& x, const std::optional<Tensor>& residual,
                        const Tensor& weight) {
    return batch_norm_relu(x, residual, weight, in.bias, in.running_mean, in.running_var, true);
  };
  EXPECT_NO_THROW(norm(in.x, in.residual, in.weight));
  EXPECT_THROW(norm(in.x[0], {}, in.weight), c10::Error);
  EXPECT_THROW(norm(in.x, in.residual.narrow(2, 0, 3), in.weight), c10::Error);
  EXPECT_THROW(norm(in.x, in.residual.to(torch::kFloat), in.weight), c10::Error);
  EXPECT_THROW(norm(in.x, {}, in.weight.narrow(0, 0, 4)), c10::Error);
  EXPECT_THROW(norm(in.x, {}, in.weight.to(torch::kFloat)), c10::Error);
  using Backward = decltype(batch_norm_relu_backward);
  const auto backward = op<Backward>("batch_norm_relu_backward");
  EXPECT_THROW(
      backward.call(in.x, in.x, in.x.narrow(0, 0, 2), in.weight, in.weight, in.weight, true, true),
      c10::Error);
  EXPECT_THROW(
      backward.call(in.x, in.x, in.x, in.weight, in.weight.narrow(0, 0, 4), in.weight, true, true),
      c10::Error);
  EXPECT_THROW(norm(in.x.narrow(0, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1), {}, in.weight),
               c10::Error);
}

}  // namespace
}  // namespace dnc
