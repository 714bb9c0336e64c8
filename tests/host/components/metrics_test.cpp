#include "host/components/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

using testing::ElementsAre;
using testing::Pair;

Context context_of(int64_t classes) {
  Context context;
  for (int64_t i = 0; i < classes; ++i)
    context.classes.names.push_back(std::string("c").append(std::to_string(i)));
  return context;
}

Accuracy accuracy(std::vector<int64_t> top_k, int64_t classes) {
  Accuracy::Options options;
  options.top_k = std::move(top_k);
  return {options, context_of(classes)};
}

torch::Tensor labels_of(std::vector<int64_t> values) {
  return torch::tensor(values, torch::kInt64);
}

/// Scores whose highest class is the given one.
torch::Tensor predicting(const std::vector<int64_t>& classes, int64_t count) {
  return torch::one_hot(labels_of(classes), count).to(torch::kFloat32);
}

/// A place of [N, H, W] with all that is needed to count by hand.
struct Point {
  int64_t label;
  std::vector<float> scores;
};

std::vector<Point> points_of(const torch::Tensor& scores, const torch::Tensor& labels) {
  const auto rows = scores.movedim(1, -1).reshape({-1, scores.size(1)}).contiguous();
  const auto flat = labels.flatten();
  std::vector<Point> points;
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const auto* const row = rows[i].data_ptr<float>();
    points.push_back({flat[i].item<int64_t>(), {row, row + scores.size(1)}});
  }
  return points;
}

TEST(Accuracy, EqualsCountingByHandForImagesAndPixels) {
  torch::manual_seed(1);
  for (const auto& shape : {std::vector<int64_t>{50, 7}, std::vector<int64_t>{3, 7, 4, 5}}) {
    // Few different values: many ties.
    const auto scores = torch::randint(0, 4, shape).to(torch::kFloat32);
    auto label_shape = shape;
    label_shape.erase(label_shape.begin() + 1);
    const auto labels = torch::randint(-1, 7, label_shape, torch::kInt64);
    std::vector<double> hits(2);
    double total = 0;
    for (const auto& point : points_of(scores, labels)) {
      if (point.label == kIgnoredLabel) continue;
      total += 1;
      std::vector<int64_t> order = {0, 1, 2, 3, 4, 5, 6};
      std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return point.scores[static_cast<size_t>(a)] > point.scores[static_cast<size_t>(b)];
      });
      const auto rank = std::find(order.begin(), order.end(), point.label) - order.begin();
      hits[0] += rank < 1;
      hits[1] += rank < 3;
    }
    auto metric = accuracy({1, 3}, 7);
    metric.update(scores, labels);
    EXPECT_THAT(metric.compute(), ElementsAre(Pair("accuracy/top1", hits[0] / total),
                                              Pair("accuracy/top3", hits[1] / total)));
    EXPECT_LT(hits[0], hits[1]);
  }
}

TEST(Accuracy, LeavesOutAnyKAboveTheNumberOfClasses) {
  auto metric = accuracy({5, 1, 3, 1}, 3);
  metric.update(predicting({0, 1}, 3), labels_of({0, 2}));
  EXPECT_THAT(metric.compute(),
              ElementsAre(Pair("accuracy/top1", 0.5), Pair("accuracy/top3", 1.0)));
  try {
    accuracy({5}, 3);
    FAIL() << "did not throw";
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), "top_k");
    EXPECT_STREQ(error.what(), "has no number up to the number of classes, which is 3; add 1");
  }
}

TEST(Accuracy, IsNotFooledByEqualScoresOrNaN) {
  auto same = accuracy({1}, 4);
  same.update(torch::zeros({4, 4}), labels_of({0, 1, 2, 3}));
  EXPECT_THAT(same.compute(), ElementsAre(Pair("accuracy/top1", 0.25)));

  auto broken = accuracy({1, 3}, 4);
  broken.update(torch::full({4, 4}, std::nan("")), labels_of({0, 1, 2, 3}));
  EXPECT_THAT(broken.compute(), ElementsAre(Pair("accuracy/top1", 0), Pair("accuracy/top3", 0)));

  auto half = accuracy({1}, 2);
  half.update(torch::tensor({{1.0F, std::nanf("")}, {1.0F, 0.0F}}), labels_of({0, 0}));
  EXPECT_THAT(half.compute(), ElementsAre(Pair("accuracy/top1", 0.5)));
}

TEST(Accuracy, IsNaNWhereNoLabelWasSeenAndAfterReset) {
  auto metric = accuracy({1}, 4);
  metric.update(torch::zeros({2, 4}), labels_of({-1, -1}));
  EXPECT_TRUE(std::isnan(metric.compute()[0].second));
  metric.update(predicting({1}, 4), labels_of({1}));
  EXPECT_EQ(metric.compute()[0].second, 1);
  metric.reset();
  EXPECT_TRUE(std::isnan(metric.compute()[0].second));
}

TEST(ClassReport, CountsPerClassAndAveragesTheClassesThatOccur) {
  ClassReport metric(context_of(5));
  // Class 2 is never predicted, class 3 is only predicted, class 4 does not occur.
  metric.update(predicting({0, 0, 1, 1, 3, 0}, 5), labels_of({0, 0, 0, 1, 2, kIgnoredLabel}));
  const auto table = metric.tables().at(0);
  EXPECT_EQ(table.name, "per_class");
  EXPECT_THAT(table.columns, ElementsAre("precision", "recall", "f1", "support"));
  EXPECT_THAT(table.rows, ElementsAre("c0", "c1", "c2", "c3", "c4"));
  const double none = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> expected = {1,    2.0 / 3, 0.8,     3,   // c0: 2 of 2, 2 of 3
                                        0.5,  1,       2.0 / 3, 1,   // c1: 1 of 2, 1 of 1
                                        none, 0,       0,       1,   // c2
                                        0,    none,    0,       0,   // c3
                                        none, none,    none,    0};  // c4
  ASSERT_EQ(table.values.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_THAT(table.values[i], testing::NanSensitiveDoubleEq(expected[i])) << "value " << i;
  }
  EXPECT_THAT(metric.compute(), ElementsAre(Pair("f1", testing::DoubleEq((0.8 + 2.0 / 3) / 4)),
                                            Pair("precision", testing::DoubleEq(1.5 / 4)),
                                            Pair("recall", testing::DoubleEq((2.0 / 3 + 1) / 4))));
}

TEST(Confusion, HasLabelsInRowsAndPredictionsInColumns) {
  Confusion metric(context_of(3));
  metric.update(predicting({0, 2, 2, 1}, 3), labels_of({0, 1, 1, kIgnoredLabel}));
  const auto table = metric.tables().at(0);
  EXPECT_EQ(table.name, "confusion");
  EXPECT_THAT(table.rows, ElementsAre("c0", "c1", "c2"));
  EXPECT_EQ(table.columns, table.rows);
  EXPECT_THAT(table.values, ElementsAre(1, 0, 0, 0, 0, 2, 0, 0, 0));
  EXPECT_TRUE(metric.compute().empty());
}

std::vector<std::unique_ptr<Metric>> all_metrics(int64_t classes) {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(std::make_unique<Accuracy>(Accuracy::Options(), context_of(classes)));
  metrics.push_back(std::make_unique<ClassReport>(context_of(classes)));
  metrics.push_back(std::make_unique<Confusion>(context_of(classes)));
  return metrics;
}

TEST(Metrics, DoNotDependOnHowSamplesAreSplitOverBatchesAndRanks) {
  torch::manual_seed(2);
  const auto scores = torch::randn({30, 6, 2, 2});
  const auto labels = torch::randint(-1, 6, {30, 2, 2}, torch::kInt64);
  const auto whole = all_metrics(6);
  const auto first = all_metrics(6);
  const auto second = all_metrics(6);
  for (size_t i = 0; i < whole.size(); ++i) {
    whole[i]->update(scores, labels);
    first[i]->update(scores.slice(0, 0, 7), labels.slice(0, 0, 7));
    first[i]->update(scores.slice(0, 7, 20), labels.slice(0, 7, 20));
    second[i]->update(scores.slice(0, 20), labels.slice(0, 20));
    // What a sum over ranks does.
    auto counts = first[i]->counts();
    const auto others = second[i]->counts();
    for (size_t j = 0; j < counts.size(); ++j) {
      EXPECT_EQ(counts[j].scalar_type(), torch::kInt64);
      counts[j].add_(others[j]);
    }
    EXPECT_EQ(first[i]->compute(), whole[i]->compute());
    EXPECT_GT(whole[i]->counts()[0].sum().item<int64_t>(), 0);
    EXPECT_TRUE(torch::equal(first[i]->counts()[0], whole[i]->counts()[0]));
    whole[i]->reset();
    EXPECT_EQ(whole[i]->counts()[0].sum().item<int64_t>(), 0);
  }
}

TEST(Metrics, NameTheShapesThatDoNotFit) {
  for (const auto& metric : all_metrics(6)) {
    try {
      metric->update(torch::zeros({2, 5}), labels_of({0, 0}));
      ADD_FAILURE() << "did not throw";
    } catch (const c10::Error& error) {
      EXPECT_STREQ(error.what_without_backtrace(),
                   "metric: scores are [2, 5], but there are 6 classes");
    }
    try {
      metric->update(torch::zeros({2, 6}), labels_of({0, 0, 0}));
      ADD_FAILURE() << "did not throw";
    } catch (const c10::Error& error) {
      EXPECT_STREQ(error.what_without_backtrace(),
                   "metric: scores are [2, 6], so labels must be [2], not [3]");
    }
  }
}

}  // namespace
}  // namespace dnc
