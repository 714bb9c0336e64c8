#include "plugins/backbones/common/sync_batch_norm.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "host/parallel/ranks.h"
#include "plugins/backbones/common/norm.h"

namespace dnc {
namespace {

/// Where the samples of a rank begin: parts of unequal size, the third one empty.
constexpr int64_t kBegin[] = {0, 3, 7, 7, 12};

struct Pass {
  torch::Tensor y, of_x, of_weight, of_bias, mean, variance, batches;
};

torch::nn::BatchNorm2d make_norm(torch::ScalarType type) {
  torch::nn::BatchNorm2d norm(5);
  norm->to(type);
  const torch::NoGradGuard no_grad;
  norm->weight.copy_(torch::linspace(0.5, 2, 5));
  norm->bias.copy_(torch::linspace(-1, 1, 5));
  return norm;
}

/// Two passes, so that running statistics are averages.
template <typename Forward>
Pass passes(torch::nn::BatchNorm2d norm, const torch::Tensor& images, const torch::Tensor& gradient,
            const Forward& forward) {
  forward(images * 2 + 1);
  const auto x = images.clone().requires_grad_();
  const auto y = forward(x);
  y.backward(gradient);
  return {y.detach(),         x.grad(),          norm->weight.grad(),      norm->bias.grad(),
          norm->running_mean, norm->running_var, norm->num_batches_tracked};
}

void expect_near(const torch::Tensor& a, const torch::Tensor& b, double tolerance) {
  ASSERT_EQ(a.sizes(), b.sizes());
  if (a.numel() > 0) {
    EXPECT_LT((a - b).abs().max().item<double>(), tolerance);
  }
}

void expect_equal_to_whole_batch(torch::ScalarType type, double offset, double tolerance) {
  torch::manual_seed(3);
  const auto images = torch::randn({12, 5, 3, 4}, type) + offset;
  const auto gradient = torch::randn({12, 5, 3, 4}, type);
  auto alone = make_norm(type);
  const auto whole =
      passes(alone, images, gradient, [&](const torch::Tensor& x) { return alone->forward(x); });
  run_as_ranks(4, [&](Ranks& ranks) {
    const auto begin = kBegin[ranks.rank()];
    const auto size = kBegin[ranks.rank() + 1] - begin;
    auto norm = make_norm(type);
    const auto part =
        passes(norm, images.narrow(0, begin, size), gradient.narrow(0, begin, size),
               [&](const torch::Tensor& x) { return sync_batch_norm(x, *norm, *ranks.modules()); });
    expect_near(part.y, whole.y.narrow(0, begin, size), tolerance);
    expect_near(part.of_x, whole.of_x.narrow(0, begin, size), tolerance);
    expect_near(part.mean, whole.mean, tolerance * (1 + std::abs(offset)));
    expect_near(part.variance, whole.variance, tolerance);
    EXPECT_EQ(part.batches.item<int64_t>(), 2);
    const std::vector<torch::Tensor> sums{part.of_weight, part.of_bias};
    ranks.sum(sums);
    expect_near(sums[0], whole.of_weight, 10 * tolerance);
    expect_near(sums[1], whole.of_bias, 10 * tolerance);
  });
}

TEST(SyncBatchNormTest, EqualsBatchNormOfTheWholeBatchForwardAndBackward) {
  expect_equal_to_whole_batch(torch::kDouble, 0, 1e-13);
  expect_equal_to_whole_batch(torch::kFloat, 0, 1e-5);
}

TEST(SyncBatchNormTest, LargeMeansDoNotCancel) {
  expect_equal_to_whole_batch(torch::kFloat, 1000, 2e-3);
}

TEST(SyncBatchNormTest, TheNormTakesItInTrainingOnlyAndForSyncBatchOnly) {
  torch::manual_seed(4);
  const auto images = torch::randn({4, 5, 2, 2});
  run_as_ranks(2, [&](Ranks& ranks) {
    const auto own = images.narrow(0, 2 * ranks.rank(), 2);
    for (const bool sync : {true, false}) {
      torch::nn::Module parent;
      NormOptions options;
      options.type = sync ? NormOptions::Type::kSyncBatch : NormOptions::Type::kBatch;
      options.ranks = ranks.modules();
      Norm norm(parent, "bn", options, 5);
      torch::nn::BatchNorm2d all(5), part(5);
      const auto of_all = all->forward(images).narrow(0, 2 * ranks.rank(), 2);
      expect_near(norm(own), sync ? of_all : part->forward(own), 1e-5);
      parent.eval();
      (sync ? all : part)->eval();
      expect_near(norm(own), (sync ? all : part)->forward(own), 1e-5);
      EXPECT_EQ(parent.named_parameters().keys(),
                (std::vector<std::string>{"bn.weight", "bn.bias"}));
    }
  });
}

}  // namespace
}  // namespace dnc
