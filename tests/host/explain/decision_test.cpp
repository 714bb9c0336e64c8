#include "host/explain/decision.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "tests/host/explain/prototype_head.h"

namespace dnc {
namespace {

TEST(Decision, SharesAreTheSoftmaxOfSimilaritiesAtTheScaleOfTheScores) {
  const auto prototypes = unit_points({4, 3, 6});
  const auto point = unit_points({6});
  const auto similarities = prototypes.matmul(point);  // [4, 3]
  const auto decision = decide(similarities.amax(1) / 0.1, point, prototypes, 12);

  const auto shares = (similarities.flatten() / 0.1).softmax(0).view({4, 3});
  ASSERT_EQ(decision.nearest.size(), 12u);
  double before = 2, sum = 0;
  for (const auto& one : decision.nearest) {
    EXPECT_NEAR(one.similarity, similarities[one.label][one.index].item<double>(), 1e-6);
    EXPECT_NEAR(one.share, shares[one.label][one.index].item<double>(), 1e-5);
    EXPECT_LE(one.similarity, before);
    before = one.similarity;
    sum += one.share;
  }
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_TRUE(decision.by_nearest());
  EXPECT_EQ(decision.support->label, decision.label());
  EXPECT_EQ(decision.support->index, decision.nearest.front().index);
}

TEST(Decision, RivalIsTheNearestOfAllOthersAndCounterThatOfTheRunnerUp) {
  // Cosines 0.9, 0.2 | 0.8, 0.1 | 0.5, 0.3; the scores put class 2 second.
  const auto prototypes = torch::tensor({0.9, 0.2, 0.8, 0.1, 0.5, 0.3}).view({3, 2, 1});
  const auto decision = decide(torch::tensor({9.0, 1.0, 5.0}), torch::tensor({1.0}), prototypes, 2);
  EXPECT_EQ(decision.classes.size(), 2u);
  EXPECT_EQ(decision.label(), 0);
  EXPECT_EQ(decision.nearest.size(), 2u);
  EXPECT_EQ(decision.rival->label, 1);
  EXPECT_EQ(decision.rival->index, 0);
  EXPECT_EQ(decision.counter->label, 2);
  EXPECT_NEAR(decision.counter->similarity, 0.5, 1e-6);
  EXPECT_TRUE(decision.by_nearest());
}

TEST(Decision, SaysWhereScoresDoNotFollowTheNearest) {
  const auto prototypes = torch::tensor({0.3, 0.9}).view({2, 1, 1});
  const auto decision = decide(torch::tensor({2.0, 1.0}), torch::tensor({1.0}), prototypes, 4);
  EXPECT_EQ(decision.label(), 0);
  EXPECT_FALSE(decision.by_nearest());
}

TEST(Decision, OfOneClassHasNoRival) {
  const auto decision =
      decide(torch::tensor({2.0}), torch::tensor({1.0}), torch::tensor({0.3}).view({1, 1, 1}), 4);
  EXPECT_FALSE(decision.rival);
  EXPECT_FALSE(decision.counter);
  EXPECT_TRUE(decision.by_nearest());
  EXPECT_NEAR(decision.support->share, 1, 1e-9);
}

TEST(Decision, WithoutPrototypesHasClassesAlone) {
  const auto decision = decide(torch::tensor({1.0, 2.0, 0.0}), {}, {}, 4);
  ASSERT_EQ(decision.classes.size(), 3u);
  EXPECT_EQ(decision.label(), 1);
  EXPECT_NEAR(decision.classes[0].second, 0.6652, 1e-4);
  EXPECT_TRUE(decision.nearest.empty());
  EXPECT_FALSE(decision.support);
}

TEST(Decision, RuleIsSaidInWords) {
  EXPECT_EQ(rule_text({"the image", "cat_7.png", "cat", "sub-centroid 2 of cat"}),
            "IF the image is more similar to cat_7.png (sub-centroid 2 of cat) than to every "
            "sub-centroid image of every other class THEN cat.");
  EXPECT_EQ(rule_text({"the pixel", "", "road", "sub-centroid 0 of road"}),
            "IF the pixel is more similar to sub-centroid 0 of road than to every sub-centroid "
            "image of every other class THEN road.");
}

}  // namespace
}  // namespace dnc
