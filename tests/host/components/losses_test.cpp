#include "host/components/losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <string>
#include <vector>

#include "registry/error.h"
#include "registry/head.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

Context five_classes() {
  Context context;
  context.classes.names = {"a", "b", "c", "d", "e"};
  return context;
}

CrossEntropy make_loss(double label_smoothing = 0, std::vector<double> class_weights = {},
                       double weight = 1) {
  CrossEntropy::Options options;
  options.label_smoothing = label_smoothing;
  options.class_weights = std::move(class_weights);
  options.weight = weight;
  return {options, five_classes()};
}

struct Case {
  std::string name;
  double smoothing;
  std::vector<double> weights;
};

TEST(CrossEntropy, MatchesPyTorchTo1e6) {
  const auto golden = Golden::load("optim.txt");
  const std::vector<double> weights = {0.5, 1, 2, 0, 3};
  for (const auto& [name, smoothing, class_weights] : {Case{"plain", 0, {}},
                                                       {"smooth", 0.1, {}},
                                                       {"weights", 0, weights},
                                                       {"both", 0.2, weights}}) {
    for (const std::string task : {"images", "pixels"}) {
      for (const std::string kind : {"labels", "soft"}) {
        const auto id = "loss/" + task + "/" + name + "/" + kind;
        SCOPED_TRACE(id);
        const auto stored = golden["loss/" + task + "/" + kind];
        const auto targets = stored.to(kind == "labels" ? torch::kInt64 : torch::kFloat32);
        const std::vector<int64_t> shape =
            task == "images" ? std::vector<int64_t>{6, 5} : std::vector<int64_t>{2, 5, 3, 4};
        const auto scores = golden_values(task + "/scores", shape).mul(4).requires_grad_();
        const auto loss = make_loss(smoothing, class_weights).forward(scores, targets);
        loss.backward();
        EXPECT_TRUE(is_close(loss, golden[id], 1e-6));
        EXPECT_TRUE(is_close(scores.grad(), golden[id + "/gradient"], 1e-6));
      }
    }
  }
}

TEST(CrossEntropy, IsZeroWithZeroGradientsWhereEveryLabelIsIgnored) {
  for (const double smoothing : {0.0, 0.1}) {
    for (const auto& weights : {std::vector<double>{}, std::vector<double>{1, 2, 3, 4, 5}}) {
      const auto scores = torch::randn({4, 5, 2}).requires_grad_();
      const auto labels = torch::full({4, 2}, kIgnoredLabel, torch::kInt64);
      const auto loss = make_loss(smoothing, weights).forward(scores, labels);
      loss.backward();
      EXPECT_EQ(loss.item<double>(), 0);
      EXPECT_TRUE(torch::equal(scores.grad(), torch::zeros({4, 5, 2})));
    }
  }
}

TEST(CrossEntropy, IgnoresPointsWhoseSoftTargetsSumToZero) {
  const auto scores = torch::randn({6, 5});
  const auto labels = torch::tensor({0, 4, 2, 1, 3, 3}, torch::kInt64);
  auto soft = torch::one_hot(labels, 5).to(torch::kFloat32);
  soft[1].zero_();
  soft[5].zero_();
  auto hard = labels.clone();
  hard[1] = kIgnoredLabel;
  hard[5] = kIgnoredLabel;
  for (const double smoothing : {0.0, 0.1}) {
    auto loss = make_loss(smoothing);
    EXPECT_TRUE(is_close(loss.forward(scores, soft), loss.forward(scores, hard), 1e-6));
  }
  EXPECT_EQ(make_loss().forward(scores, torch::zeros({6, 5})).item<double>(), 0);
}

TEST(CrossEntropy, ComputesInFloat32WhateverTheScoresAre) {
  const auto labels = torch::tensor({0, 1, 2}, torch::kInt64);
  for (const auto type : {torch::kBFloat16, torch::kFloat16}) {
    const auto scores = (torch::randn({3, 5}) * 10).to(type).requires_grad_();
    const auto loss = make_loss(0.1).forward(scores, labels);
    loss.backward();
    EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
    EXPECT_EQ(scores.grad().scalar_type(), type);
    EXPECT_TRUE(
        torch::equal(loss, make_loss(0.1).forward(scores.detach().to(torch::kFloat32), labels)));
  }
  const auto precise = make_loss().forward(torch::randn({3, 5}, torch::kFloat64), labels);
  EXPECT_EQ(precise.scalar_type(), torch::kFloat64);
}

TEST(CrossEntropy, IsMultipliedByItsWeight) {
  const auto scores = torch::randn({3, 5});
  const auto labels = torch::tensor({0, 1, 2}, torch::kInt64);
  const auto plain = make_loss().forward(scores, labels);
  const auto weighted = make_loss(0, {}, 0.25).forward(scores, labels);
  EXPECT_TRUE(is_close(weighted, plain * 0.25, 1e-7));
}

TEST(CrossEntropy, RefusesAnotherNumberOfClassWeights) {
  try {
    make_loss(0, {1, 2, 3});
    FAIL() << "did not throw";
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), "class_weights");
    EXPECT_STREQ(error.what(), "needs one number for each of the 5 classes, not 3");
  }
}

TEST(CrossEntropy, NamesBothShapesWhereTheyDoNotFit) {
  try {
    make_loss().forward(torch::zeros({2, 5, 4, 4}), torch::zeros({2, 4}, torch::kInt64));
    FAIL() << "did not throw";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(),
                testing::HasSubstr("scores are [2, 5, 4, 4], so targets must be [2, 4, 4], not "
                                   "[2, 4]"));
  }
}

// ---- BinaryCrossEntropy -------------------------------------------------------------------------

BinaryCrossEntropy::Options binary_options(const std::string& name) {
  BinaryCrossEntropy::Options options;
  if (name != "plain") options.label_smoothing = 0.1;
  if (name == "threshold") options.target_threshold = 0.2;
  options.sum_classes = name == "sum";
  return options;
}

TEST(BinaryCrossEntropy, MatchesTimmTo1e6) {
  const auto golden = Golden::load("optim.txt");
  for (const std::string name : {"plain", "smooth", "threshold", "sum"}) {
    for (const std::string kind : {"labels", "soft"}) {
      const auto id = "binary/" + name + "/" + kind;
      SCOPED_TRACE(id);
      const auto targets =
          golden["binary/" + kind].to(kind == "labels" ? torch::kInt64 : torch::kFloat32);
      const auto scores = golden_values("images/scores", {6, 5}).mul(4).requires_grad_();
      const auto loss = BinaryCrossEntropy(binary_options(name)).forward(scores, targets);
      loss.backward();
      EXPECT_TRUE(is_close(loss, golden[id], 1e-6));
      EXPECT_TRUE(is_close(scores.grad(), golden[id + "/gradient"], 1e-6));
    }
  }
}

TEST(BinaryCrossEntropy, LeavesOutPointsWithoutALabel) {
  const auto scores = torch::randn({4, 5});
  const auto labels = torch::tensor({2, 0}, torch::kInt64);
  for (const std::string name : {"smooth", "threshold", "sum"}) {
    BinaryCrossEntropy loss(binary_options(name));
    const auto expected = loss.forward(scores.narrow(0, 0, 2), labels);
    auto with_ignored = torch::full({4}, kIgnoredLabel, torch::kInt64);
    with_ignored.narrow(0, 0, 2).copy_(labels);
    EXPECT_TRUE(is_close(loss.forward(scores, with_ignored), expected, 1e-6)) << name;
    auto soft = torch::zeros({4, 5});
    soft.narrow(0, 0, 2).copy_(torch::one_hot(labels, 5));
    EXPECT_TRUE(is_close(loss.forward(scores, soft), expected, 1e-6)) << name;
  }
}

TEST(BinaryCrossEntropy, IsZeroWithZeroGradientsWhereEveryLabelIsIgnored) {
  const auto scores = torch::randn({4, 5, 2}).requires_grad_();
  const auto labels = torch::full({4, 2}, kIgnoredLabel, torch::kInt64);
  const auto loss = BinaryCrossEntropy(binary_options("smooth")).forward(scores, labels);
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0);
  EXPECT_TRUE(torch::equal(scores.grad(), torch::zeros({4, 5, 2})));
}

TEST(BinaryCrossEntropy, TakesPixelsAsItTakesImages) {
  const auto scores = torch::randn({2, 5, 3, 4});
  const auto labels = torch::randint(-1, 5, {2, 3, 4}, torch::kInt64);
  BinaryCrossEntropy loss(binary_options("smooth"));
  const auto as_images = scores.movedim(1, -1).reshape({-1, 5});
  EXPECT_TRUE(
      is_close(loss.forward(scores, labels), loss.forward(as_images, labels.flatten()), 1e-6));
}

TEST(BinaryCrossEntropy, ComputesInFloat32AndIsMultipliedByItsWeight) {
  const auto labels = torch::tensor({0, 1, 2}, torch::kInt64);
  const auto scores = (torch::randn({3, 5}) * 10).to(torch::kBFloat16);
  auto options = binary_options("smooth");
  const auto plain = BinaryCrossEntropy(options).forward(scores, labels);
  EXPECT_EQ(plain.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(
      torch::equal(plain, BinaryCrossEntropy(options).forward(scores.to(torch::kFloat32), labels)));
  options.weight = 0.25;
  EXPECT_TRUE(is_close(BinaryCrossEntropy(options).forward(scores, labels), plain * 0.25, 1e-7));
}

TEST(BinaryCrossEntropy, NamesBothShapesWhereTheyDoNotFit) {
  try {
    BinaryCrossEntropy({}).forward(torch::zeros({2, 5}), torch::zeros({2, 4}));
    FAIL() << "did not throw";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(),
                testing::HasSubstr("BinaryCrossEntropy: scores are [2, 5], so targets must be "
                                   "[2, 5], not [2, 4]"));
  }
}

}  // namespace
}  // namespace dnc
