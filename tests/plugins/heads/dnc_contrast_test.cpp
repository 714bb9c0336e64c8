#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "plugins/heads/dnc/contrast.h"
#include "ops/unit_rows.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

torch::Tensor gradient_of(const torch::Tensor& values, const torch::Tensor& weights,
                          const torch::Tensor& x) {
  return torch::autograd::grad({(values * weights).sum()}, {x})[0];
}

// Tolerance 1e-5 of the largest value in float32, 1e-9 in float64. One block and several, of which
// the last is not full.
TEST(LogSumExp, MatchesPlainOperators) {
  for (const int64_t R : {1, 7, 3000}) {
    for (const auto dtype : {torch::kFloat, torch::kDouble}) {
      const double tolerance = dtype == torch::kFloat ? 1e-5 : 1e-9;
      const auto x = at::randn({R, 12}, dtype).requires_grad_();
      const auto prototypes = at::randn({700, 12}, dtype);
      const auto weights = at::randn({R}, dtype);
      const auto expected = at::logsumexp(at::linear(x, prototypes) / 0.3, 1);
      const auto got = log_sum_exp(x, prototypes, 0.3);
      EXPECT_TRUE(is_close(got, expected, tolerance));
      EXPECT_TRUE(
          is_close(gradient_of(got, weights, x), gradient_of(expected, weights, x), tolerance));
    }
  }
}

// exp(1 / temperature) is beyond float32.
TEST(LogSumExp, IsFiniteAtLowTemperatures) {
  const auto x = at::eye(4).requires_grad_();
  const auto sum = log_sum_exp(x, at::eye(4), 0.001);
  EXPECT_TRUE(is_close(sum, at::full({4}, 1000.), 1e-6));
  EXPECT_TRUE(is_close(gradient_of(sum, at::ones({4}), x), at::eye(4) * 1000, 1e-6));
}

TEST(DotTarget, MatchesPlainOperators) {
  const auto x = at::randn({3000, 700}, torch::kDouble).requires_grad_();
  const auto prototypes = at::randn({9, 700}, torch::kDouble);
  const auto target = at::randint(9, {3000}, torch::kLong);
  const auto weights = at::randn({3000}, torch::kDouble);
  const auto expected = (x * prototypes.index_select(0, target)).sum(1);
  const auto got = dot_target(x, prototypes, target);
  EXPECT_TRUE(is_close(got, expected, 1e-9));
  EXPECT_TRUE(is_close(gradient_of(got, weights, x), gradient_of(expected, weights, x), 1e-9));
}

/// [2, P, D] in the layouts of maps: rows behind each other, and pixels behind each other.
std::vector<torch::Tensor> layouts(int64_t P, int64_t D, torch::Dtype dtype) {
  const auto x = at::randn({2, P, D}, dtype);
  return {x, x.transpose(1, 2).contiguous().transpose(1, 2)};
}

TEST(UnitRows, MatchesPlainOperatorsInAnyLayout) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const double tolerance = dtype == torch::kFloat ? 1e-5 : 1e-9;
    for (const auto& each : layouts(333, 21, dtype)) {
      const auto x = each.detach().requires_grad_();
      auto labels = at::randint(-1, 3, {666}, torch::kLong);
      const auto weights = at::randn({666, 21}, dtype);
      const auto rows = x.flatten(0, 1);
      const auto expected = rows / rows.norm(2, 1, true) * labels.ge(0).unsqueeze(1);
      const auto got = unit_rows(x, labels);
      EXPECT_TRUE(is_close(got, expected, tolerance));
      EXPECT_TRUE(
          is_close(gradient_of(got, weights, x), gradient_of(expected, weights, x), tolerance));
    }
  }
}

TEST(UnitRows, AreZeroWithoutADirectionOrALabel) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    auto x = at::randn({1, 3, 5}, dtype);
    x[0][0].zero_();
    x[0][1][2] = std::numeric_limits<double>::quiet_NaN();
    x.requires_grad_();
    const auto points = unit_rows(x, torch::tensor({1L, -2L, 0L}));
    EXPECT_TRUE(torch::equal(points.narrow(0, 0, 2), at::zeros({2, 5}, dtype)));
    const auto gradient = gradient_of(points, at::ones_like(points), x);
    EXPECT_TRUE(torch::equal(gradient.narrow(1, 0, 2), at::zeros({1, 2, 5}, dtype)));
  }
}

TEST(FiniteRows, FindsRowsThatAreNot) {
  for (const auto dtype : {torch::kHalf, torch::kFloat, torch::kDouble}) {
    auto expected = at::ones({80}, torch::kBool);
    for (auto x : layouts(40, 7, dtype)) {
      x.fill_(60000);  // its square is beyond half
      x[0][3][6] = std::numeric_limits<double>::infinity();
      x[1][39][0] = std::numeric_limits<double>::quiet_NaN();
      expected[3] = expected[79] = false;
      EXPECT_TRUE(torch::equal(finite_rows(x), expected));
    }
  }
}

/// The most bytes of tensors that this thread held at a time.
class Peak : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    now_ += size;
    peak = std::max(peak, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t peak = 0;

 private:
  int64_t now_ = 0;
};

// All 20000 x 1000 products would be 80 MB.
TEST(LogSumExp, HoldsBlocksOfTheProductsOnly) {
  const auto x = at::randn({20000, 8}).requires_grad_();
  const auto prototypes = at::randn({1000, 8});
  const auto memory = std::make_shared<Peak>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, memory);
    log_sum_exp(x, prototypes, 0.1).sum().backward();
  }
  EXPECT_LT(memory->peak, 10 << 20);
  EXPECT_GT(memory->peak, 1 << 20);  // it was counted
}

}  // namespace
}  // namespace dnc
