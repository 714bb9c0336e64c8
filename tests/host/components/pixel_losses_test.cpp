#include "host/components/pixel_losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "registry/error.h"
#include "registry/head.h"
#include "tests/golden/golden.h"

namespace dnc {
namespace {

using testing::HasSubstr;

const std::vector<double> kWeights = {0.5, 1, 2, 3};

Context four_classes() {
  Context context;
  context.classes.names = {"a", "b", "c", "d"};
  return context;
}

// A loss with the options that `set` changes.
template <typename T>
std::shared_ptr<Loss> make(const std::function<void(typename T::Options&)>& set) {
  typename T::Options options;
  set(options);
  if constexpr (std::is_constructible_v<T, const typename T::Options&>) {
    return std::make_shared<T>(options);
  } else {
    return std::make_shared<T>(options, four_classes());
  }
}

const Golden& golden() {
  static const Golden values = Golden::load("segmentation.txt");
  return values;
}

torch::Tensor golden_scores() { return golden_values("scores", {2, 4, 5, 6}).mul(4); }

// Value and gradient equal the reference's, with all labels and with some ignored and a class that
// does not occur.
void expect_like_reference(Loss& loss, const std::string& name) {
  for (const std::string labels : {"full", "holes"}) {
    const auto id = labels + "/" + name;
    SCOPED_TRACE(id);
    const auto scores = golden_scores().requires_grad_();
    const auto value = loss.forward(scores, golden()["labels/" + labels].to(torch::kInt64));
    value.backward();
    EXPECT_TRUE(is_close(value, golden()[id], 2e-6));
    EXPECT_TRUE(is_close(scores.grad(), golden()[id + "/gradient"], 5e-6));
  }
}

TEST(OhemCrossEntropy, MatchesTheReferenceTo2e6) {
  const std::vector<std::pair<std::string, int64_t>> cases{
      {"0.2", 1}, {"0.2", 8}, {"0.7", 1}, {"0.1", 1000}, {"None", 8}, {"None", 1000}};
  for (const auto& [thresh, min_kept] : cases) {
    for (const bool all : {false, true}) {
      for (const bool weighted : {false, true}) {
        const auto loss = make<OhemCrossEntropy>([&](OhemCrossEntropy::Options& options) {
          if (thresh != "None") options.thresh = std::stod(thresh);
          options.min_kept = min_kept;
          if (all) options.average = OhemCrossEntropy::Average::kAll;
          if (weighted) options.class_weights = kWeights;
        });
        expect_like_reference(*loss, "ohem/" + thresh + "/" + std::to_string(min_kept) +
                                         (all ? "/all" : "/kept") +
                                         (weighted ? "/weights" : "/plain"));
      }
    }
  }
}

TEST(Dice, MatchesTheReferenceTo2e6) {
  for (const bool sigmoid : {true, false}) {
    for (const bool naive : {true, false}) {
      const auto loss = make<Dice>([&](Dice::Options& options) {
        options.use_sigmoid = sigmoid;
        options.naive = naive;
      });
      expect_like_reference(*loss, std::string("dice/") + (sigmoid ? "sigmoid" : "softmax") +
                                       (naive ? "/naive" : "/square"));
    }
  }
}

TEST(Lovasz, MatchesItsDefinitionTo2e6) {
  for (const bool all : {false, true}) {
    for (const bool per_image : {false, true}) {
      for (const bool weighted : {false, true}) {
        const auto loss = make<Lovasz>([&](Lovasz::Options& options) {
          if (all) options.classes = Lovasz::Classes::kAll;
          options.per_image = per_image;
          if (weighted) options.class_weights = kWeights;
        });
        expect_like_reference(*loss, std::string("lovasz/") + (all ? "all" : "present") +
                                         (per_image ? "/image" : "/batch") +
                                         (weighted ? "/weights" : "/plain"));
      }
    }
  }
}

TEST(Focal, MatchesTheReferenceTo2e6) {
  const std::vector<std::pair<std::string, std::vector<double>>> alphas{
      {"1x0.5", {0.5}}, {"1x0.25", {0.25}}, {"4x0.1", {0.1, 0.2, 0.3, 0.4}}};
  for (const int gamma : {0, 2}) {
    for (const auto& [name, alpha] : alphas) {
      for (const bool weighted : {false, true}) {
        const auto loss = make<Focal>([&, &numbers = alpha](Focal::Options& options) {
          options.gamma = gamma;
          options.alpha = numbers;
          if (weighted) options.class_weights = kWeights;
        });
        expect_like_reference(*loss, "focal/" + std::to_string(gamma) + "/" + name +
                                         (weighted ? "/weights" : "/plain"));
      }
    }
  }
}

// --- What all of them have in common

std::vector<std::pair<std::string, std::shared_ptr<Loss>>> all_losses(double weight = 1) {
  const auto with = [&](auto& options) { options.weight = weight; };
  return {{"OhemCrossEntropy", make<OhemCrossEntropy>(with)},
          {"OhemCrossEntropy", make<OhemCrossEntropy>([&](OhemCrossEntropy::Options& options) {
             options.weight = weight;
             options.thresh = 0.7;
           })},
          {"Dice", make<Dice>(with)},
          {"Lovasz", make<Lovasz>(with)},
          {"Lovasz", make<Lovasz>([&](Lovasz::Options& options) {
             options.weight = weight;
             options.per_image = true;
           })},
          {"Focal", make<Focal>(with)}};
}

TEST(PixelLosses, AreZeroWithZeroGradientsWhereNothingIsLabelled) {
  for (const auto& [name, loss] : all_losses()) {
    SCOPED_TRACE(name);
    const auto scores = golden_scores().requires_grad_();
    const auto value = loss->forward(scores, torch::full({2, 5, 6}, kIgnoredLabel, torch::kInt64));
    value.backward();
    EXPECT_EQ(value.item<double>(), 0);
    EXPECT_TRUE(torch::equal(scores.grad(), torch::zeros_like(scores)));
  }
}

TEST(PixelLosses, DoNotSeeTheScoresOfIgnoredPixels) {
  const auto labels = golden()["labels/holes"].to(torch::kInt64);
  const auto ignored = (labels == kIgnoredLabel).unsqueeze(1);
  ASSERT_GT(ignored.sum().item<int64_t>(), 5);
  const auto other = golden_scores().masked_fill(ignored, 7);
  for (const auto& [name, loss] : all_losses()) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(
        is_close(loss->forward(other, labels), loss->forward(golden_scores(), labels), 1e-6));
  }
}

TEST(PixelLosses, AreComputedInFloat32AndMultipliedByTheirWeight) {
  const auto labels = golden()["labels/full"].to(torch::kInt64);
  const auto scores = golden_scores().to(torch::kBFloat16);
  const auto plain = all_losses();
  const auto halved = all_losses(0.5);
  for (size_t i = 0; i < plain.size(); ++i) {
    SCOPED_TRACE(plain[i].first);
    const auto given = scores.clone().requires_grad_();
    const auto value = plain[i].second->forward(given, labels);
    value.backward();
    EXPECT_EQ(value.scalar_type(), torch::kFloat32);
    EXPECT_EQ(given.grad().scalar_type(), torch::kBFloat16);
    EXPECT_TRUE(torch::equal(value, plain[i].second->forward(scores.to(torch::kFloat32), labels)));
    EXPECT_TRUE(is_close(halved[i].second->forward(scores, labels), value * 0.5, 1e-6));
  }
}

TEST(PixelLosses, WorkOnImagesAndOnOneClassOfManyToo) {
  for (const auto& [name, loss] : all_losses()) {
    SCOPED_TRACE(name);
    const auto scores = golden_values("flat", {6, 4}).requires_grad_();
    const auto value = loss->forward(scores, torch::full({6}, 2, torch::kInt64));
    value.backward();
    EXPECT_GT(value.item<double>(), 0);
    EXPECT_TRUE(scores.grad().isfinite().all().item<bool>());
  }
}

TEST(PixelLosses, RefuseSoftLabelsAndOtherShapes) {
  for (const auto& [name, loss] : all_losses()) {
    try {
      loss->forward(golden_scores(), golden_scores());
      FAIL() << name << " did not throw";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(),
                   (name + ": takes labels, not soft labels; leave out the transform that mixes "
                           "images, or use CrossEntropy")
                       .c_str());
    }
    try {
      loss->forward(golden_scores(), torch::zeros({2, 5}, torch::kInt64));
      FAIL() << name << " did not throw";
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what_without_backtrace(),
                  HasSubstr(name + ": scores are [2, 4, 5, 6], so labels must be [2, 5, 6], not "
                                   "[2, 5]"));
    }
  }
}

template <typename T>
std::string refused_option(const std::function<void(typename T::Options&)>& set) {
  try {
    make<T>(set);
  } catch (const OptionError& error) {
    return error.option() + " " + error.what();
  }
  return "";
}

TEST(PixelLosses, RefuseAnotherNumberOfClassWeights) {
  const auto three = [](auto& options) { options.class_weights = {1, 2, 3}; };
  const std::string message = "class_weights needs one number for each of the 4 classes, not 3";
  EXPECT_EQ(refused_option<OhemCrossEntropy>(three), message);
  EXPECT_EQ(refused_option<Lovasz>(three), message);
  EXPECT_EQ(refused_option<Focal>(three), message);
  EXPECT_EQ(refused_option<Focal>([](Focal::Options& options) {
              options.alpha = {0.1, 0.2};
            }),
            "alpha needs one number for each of the 4 classes, not 2");
}

}  // namespace
}  // namespace dnc
