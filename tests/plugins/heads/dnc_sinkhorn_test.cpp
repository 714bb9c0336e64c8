#include <gtest/gtest.h>
#include <torch/types.h>

#include "ops/sinkhorn.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

/// Cosines of n samples to K sub-centroids, in [-1, 1].
torch::Tensor cosines(int64_t n, int64_t K) { return at::rand({n, K}) * 2 - 1; }

TEST(Sinkhorn, ConvergesToEqualParts) {
  torch::manual_seed(1);
  const auto labels = at::arange(600).remainder(3);
  const auto logits = sinkhorn(cosines(600, 5), Groups(labels, 3), 300, 0.1);
  const auto plan = logits.softmax(1);
  const auto parts = Groups(labels, 3).sum(plan);
  EXPECT_TRUE(is_close(parts, at::full({3, 5}, 200. / 5), 1e-3));
}

TEST(Sinkhorn, ClassesDoNotTouchEachOther) {
  torch::manual_seed(2);
  const auto s = cosines(90, 4);
  const auto labels = at::arange(90).remainder(3);
  for (const int64_t size : {3, 1000}) {
    const auto together = sinkhorn(s, Groups(labels, size), 3, 0.05);
    for (int64_t c = 0; c < 3; ++c) {
      const auto own = labels.eq(c).nonzero().flatten();
      const auto alone = sinkhorn(s.index_select(0, own), Groups(at::zeros_like(own), 1), 3, 0.05);
      EXPECT_TRUE(is_close(together.index_select(0, own).softmax(1), alone.softmax(1), 1e-5));
    }
  }
}

// The largest and smallest cosines there are, at an epsilon whose exponentials (e^10000) no number
// holds.
TEST(Sinkhorn, CannotOverflow) {
  torch::manual_seed(3);
  for (const int64_t n : {1, 2, 7, 500}) {
    for (const auto& s : {cosines(n, 4), at::ones({n, 4}), -at::ones({n, 4}), cosines(n, 4).sign(),
                          at::ones({n, 1}) * torch::tensor({1., -1., -1., -1.})}) {
      const auto logits = sinkhorn(s, Groups(at::zeros({n}, torch::kLong), 1), 50, 1e-4);
      EXPECT_TRUE(logits.isfinite().all().item<bool>()) << n;
      const auto index = largest_share(logits, s);
      EXPECT_TRUE(index.ge(0).logical_and(index.lt(4)).all().item<bool>());
    }
  }
}

TEST(Sinkhorn, ASampleThatIsAloneGoesToTheNearest) {
  torch::manual_seed(4);
  const auto s = cosines(200, 4);
  const auto logits = sinkhorn(s, Groups(at::arange(200), 200), 3, 0.05);
  EXPECT_TRUE(is_close(logits.softmax(1), at::full({200, 4}, 0.25), 1e-4));
  EXPECT_TRUE(torch::equal(largest_share(logits, s), s.argmax(1)));
}

}  // namespace
}  // namespace dnc
