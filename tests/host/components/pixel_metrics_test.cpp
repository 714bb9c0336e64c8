#include "host/components/pixel_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

using testing::HasSubstr;

Context classes_of(int64_t count) {
  Context context;
  for (int64_t i = 0; i < count; ++i) {
    context.classes.names.push_back(std::string("c").append(std::to_string(i)));
  }
  return context;
}

MeanIoU mean_iou(int64_t classes, double beta = 1) {
  MeanIoU::Options options;
  options.beta = beta;
  return {options, classes_of(classes)};
}

BoundaryIoU boundary_iou(int64_t classes, double dilation = 0.02) {
  BoundaryIoU::Options options;
  options.dilation = dilation;
  return {options, classes_of(classes)};
}

std::map<std::string, double> figures_of(const Metric& metric) {
  const auto figures = metric.compute();
  return {figures.begin(), figures.end()};
}

torch::Tensor confusion_of(Metric& metric) { return metric.counts().front(); }

// Pixel by pixel, with PyTorch's own argmax.
torch::Tensor count_by_hand(const torch::Tensor& scores, const torch::Tensor& labels) {
  const int64_t classes = scores.size(1);
  auto counts = torch::zeros({classes, classes}, torch::kInt64);
  const auto given = scores.argmax(1).flatten();
  const auto expected = labels.flatten();
  for (int64_t i = 0; i < expected.numel(); ++i) {
    const auto label = expected[i].item<int64_t>();
    if (label != kIgnoredLabel) counts[label][given[i].item<int64_t>()] += 1;
  }
  return counts;
}

/// Scores [N, C, H, W] whose highest class is that of `labels`.
torch::Tensor scores_of(const torch::Tensor& labels, int64_t classes) {
  return torch::one_hot(labels, classes).movedim(-1, 1).to(torch::kFloat32);
}

TEST(MeanIoU, CountsExactlyWhatCountingByHandDoes) {
  // More pixels than one block has, a block that is not full, ties, and few classes or many.
  for (const auto& shape : {std::vector<int64_t>{2, 5, 37, 41},
                            {1, 21, 3, 5},
                            {3, 2, 1, 1},
                            {40, 6},
                            {2, 4, 1025},
                            {1, 1, 4, 4}}) {
    SCOPED_TRACE(at::IntArrayRef(shape));
    auto label_shape = shape;
    label_shape.erase(label_shape.begin() + 1);
    const auto labels = torch::randint(-1, shape[1], label_shape, torch::kInt64);
    auto scores = torch::randint(0, 5, shape).to(torch::kFloat32);
    auto metric = mean_iou(shape[1]);
    metric.update(scores, labels);
    auto expected = count_by_hand(scores, labels);
    EXPECT_TRUE(torch::equal(confusion_of(metric), expected));
    scores = torch::randn(shape);
    metric.update(scores, labels);  // adds to the first
    expected += count_by_hand(scores, labels);
    EXPECT_TRUE(torch::equal(confusion_of(metric), expected));
    metric.reset();
    EXPECT_EQ(confusion_of(metric).sum().item<int64_t>(), 0);
  }
}

TEST(MeanIoU, CountsTheSameInEveryOrderOfMemoryAndType) {
  // Few different scores: ties.
  const auto scores = torch::randint(0, 40, {2, 21, 40, 50}).to(torch::kFloat32);
  const auto labels = torch::randint(-1, 21, {2, 40, 50}, torch::kInt64);
  const auto expected = count_by_hand(scores, labels);
  const std::vector<std::pair<torch::Tensor, torch::Tensor>> cases{
      {scores.contiguous(at::MemoryFormat::ChannelsLast), labels},
      {scores.to(torch::kFloat64), labels},
      {scores.transpose(2, 3).contiguous().transpose(2, 3), labels},
      {scores, labels.transpose(1, 2).contiguous().transpose(1, 2)},
      {torch::cat({scores, scores}, 2).narrow(2, 0, 40), labels}};
  for (const auto& [given, truth] : cases) {
    auto metric = mean_iou(21);
    metric.update(given, truth);
    EXPECT_TRUE(torch::equal(confusion_of(metric), expected));
  }
  const auto half = scores.to(torch::kBFloat16);
  auto metric = mean_iou(21);
  metric.update(half, labels);
  EXPECT_TRUE(torch::equal(confusion_of(metric), count_by_hand(half, labels)));
}

TEST(MeanIoU, TakesNaNForTheHighestAsArgmaxDoes) {
  auto scores = torch::randn({1, 21, 30, 30});
  scores.masked_fill_(torch::rand({1, 21, 30, 30}) < 0.05, std::nan(""));
  scores.masked_fill_(torch::rand({1, 21, 30, 30}) < 0.05, std::numeric_limits<float>::infinity());
  const auto labels = torch::randint(0, 21, {1, 30, 30}, torch::kInt64);
  for (const auto& given : {scores, scores.contiguous(at::MemoryFormat::ChannelsLast)}) {
    auto metric = mean_iou(21);
    metric.update(given, labels);
    EXPECT_TRUE(torch::equal(confusion_of(metric), count_by_hand(scores, labels)));
  }
}

TEST(MeanIoU, FiguresAreThoseOfTheFormulas) {
  // Labels 0 0 0 1 1 and one ignored, predictions 0 0 1 1 2: of 3 there is nothing.
  const auto labels = torch::tensor({{0, 0, 0, 1, 1, -1}}, torch::kInt64);
  const auto scores = scores_of(torch::tensor({{0, 0, 1, 1, 2, 3}}, torch::kInt64), 4);
  auto metric = mean_iou(4, 2);
  metric.update(scores, labels);
  const auto figures = figures_of(metric);
  EXPECT_EQ(metric.compute().front().first, "mIoU");
  EXPECT_DOUBLE_EQ(figures.at("mIoU"), (2.0 / 3 + 1.0 / 3 + 0) / 3);
  EXPECT_DOUBLE_EQ(figures.at("aAcc"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(figures.at("mAcc"), (2.0 / 3 + 1.0 / 2) / 2);
  EXPECT_DOUBLE_EQ(figures.at("mRecall"), (2.0 / 3 + 1.0 / 2) / 2);
  EXPECT_DOUBLE_EQ(figures.at("mPrecision"), (1 + 1.0 / 2 + 0) / 3);
  EXPECT_DOUBLE_EQ(figures.at("mDice"), (4.0 / 5 + 1.0 / 2 + 0) / 3);
  // beta 2: 5 I / (4 L + P)
  EXPECT_DOUBLE_EQ(figures.at("mFscore"), (10.0 / 14 + 5.0 / 10 + 0) / 3);
  const auto table = metric.tables().front();
  EXPECT_EQ(table.name, "per_class");
  EXPECT_EQ(table.rows.size(), 4U);
  ASSERT_EQ(table.values.size(), 4 * table.columns.size());
  const auto cell = [&](size_t row, size_t column) {
    return table.values[row * table.columns.size() + column];
  };
  EXPECT_DOUBLE_EQ(cell(0, 0), 2.0 / 3);
  EXPECT_DOUBLE_EQ(cell(0, 6), 3);
  EXPECT_TRUE(std::isnan(cell(2, 1)));  // no labels: no accuracy, but an IoU of 0
  EXPECT_EQ(cell(2, 0), 0);
  for (size_t i = 0; i < 6; ++i) EXPECT_TRUE(std::isnan(cell(3, i)));
  EXPECT_EQ(cell(3, 6), 0);
}

TEST(MeanIoU, IsNaNWhereNothingWasSeen) {
  auto metric = mean_iou(3);
  metric.update(torch::randn({1, 3, 2, 2}), torch::full({1, 2, 2}, kIgnoredLabel, torch::kInt64));
  for (const auto& [name, value] : metric.compute()) EXPECT_TRUE(std::isnan(value)) << name;
}

TEST(MeanIoU, SumOverRanksIsWhatOneRankCounts) {
  const auto scores = torch::randn({4, 3, 8, 8});
  const auto labels = torch::randint(-1, 3, {4, 8, 8}, torch::kInt64);
  auto whole = mean_iou(3);
  whole.update(scores, labels);
  auto first = mean_iou(3);
  auto second = mean_iou(3);
  first.update(scores.narrow(0, 0, 1), labels.narrow(0, 0, 1));
  second.update(scores.narrow(0, 1, 3), labels.narrow(0, 1, 3));
  first.counts().front().add_(second.counts().front());
  EXPECT_EQ(first.compute(), whole.compute());
}

template <typename M>
void expect_refused(M metric, const torch::Tensor& scores, const torch::Tensor& labels,
                    const std::string& message) {
  try {
    metric.update(scores, labels);
    FAIL() << "did not throw";
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what_without_backtrace(), HasSubstr(message));
  }
}

TEST(PixelMetrics, RefuseWhatDoesNotFit) {
  const auto labels = torch::zeros({1, 2, 2}, torch::kInt64);
  expect_refused(mean_iou(3), torch::zeros({1, 4, 2, 2}), labels,
                 "MeanIoU: scores are [1, 4, 2, 2], but there are 3 classes");
  expect_refused(mean_iou(3), torch::zeros({1, 3, 4, 4}), labels,
                 "MeanIoU: scores are [1, 3, 4, 4], so labels must be [1, 4, 4], not [1, 2, 2]");
  expect_refused(mean_iou(3), torch::zeros({1, 3, 2, 2}), labels + 3,
                 "MeanIoU: label 3 is none of the 3 classes");
  expect_refused(mean_iou(3), torch::zeros({1, 3, 2, 2}), labels - 2,
                 "MeanIoU: label -2 is none of the 3 classes");
  expect_refused(boundary_iou(3), torch::zeros({1, 3, 2, 2}), labels + 3,
                 "BoundaryIoU: label 3 is none of the 3 classes");
  expect_refused(boundary_iou(3), torch::zeros({4, 3}), torch::zeros({4}, torch::kInt64),
                 "BoundaryIoU: scores must be [N, C, H, W], not [4, 3]");
}

// --- Boundaries, as the paper's code has them: a mask less what is left after eroding it

// One step of erosion by 3 x 3; beyond the edge there is nothing.
torch::Tensor erode(const torch::Tensor& mask) {
  const auto outside = torch::constant_pad_nd(mask.to(torch::kFloat32), {1, 1, 1, 1}, 0).neg();
  return torch::max_pool2d(outside.unsqueeze(0), 3, 1).squeeze(0) < 0;
}

torch::Tensor boundary_of(const torch::Tensor& mask, int64_t distance) {
  auto inner = mask;
  for (int64_t i = 0; i < distance; ++i) inner = erode(inner);
  return mask.logical_and(inner.logical_not());
}

// [classes], NaN where there is no boundary.
std::vector<double> boundary_iou_by_hand(const torch::Tensor& predictions,
                                         const torch::Tensor& labels, int64_t classes,
                                         int64_t distance) {
  std::vector<double> figures;
  for (int64_t c = 0; c < classes; ++c) {
    double hits = 0;
    double together = 0;
    for (int64_t n = 0; n < labels.size(0); ++n) {
      const auto truth = boundary_of(labels[n] == c, distance);
      const auto guess =
          boundary_of((predictions[n] == c).logical_and(labels[n] != kIgnoredLabel), distance);
      hits += truth.logical_and(guess).sum().item<double>();
      together += truth.logical_or(guess).sum().item<double>();
    }
    figures.push_back(together > 0 ? hits / together : std::nan(""));
  }
  return figures;
}

// Blobs: noise, enlarged.
torch::Tensor blobs(int64_t images, int64_t height, int64_t width, int64_t classes) {
  return torch::randint(0, classes, {images, height / 4, width / 4}, torch::kInt64)
      .repeat_interleave(4, 1)
      .repeat_interleave(4, 2);
}

TEST(BoundaryIoU, EqualsErodingEachMask) {
  constexpr int64_t kClasses = 4;
  for (const auto& [dilation, distance] :
       {std::pair<double, int64_t>{0.001, 1}, {0.04, 2}, {0.1, 4}, {0.9, 36}}) {
    SCOPED_TRACE(distance);
    auto labels = blobs(2, 24, 32, 3);  // the last class occurs only in the predictions
    labels.masked_fill_(torch::rand({2, 24, 32}) < 0.01, kIgnoredLabel);
    const auto noise = torch::randint(0, kClasses, {2, 24, 32}, torch::kInt64);
    auto predictions = torch::where(torch::rand({2, 24, 32}) < 0.02, noise, labels.roll(1, 2));
    predictions.masked_fill_(predictions == kIgnoredLabel, 0);
    auto metric = boundary_iou(kClasses, dilation);
    metric.update(scores_of(predictions, kClasses), labels);
    const auto expected = boundary_iou_by_hand(predictions, labels, kClasses, distance);
    const auto table = metric.tables().front();
    for (size_t c = 0; c < kClasses; ++c) EXPECT_EQ(table.values[2 * c], expected[c]) << c;
  }
}

TEST(BoundaryIoU, IsOneForWhatIsRightAndLeavesOutAbsentClasses) {
  const auto labels = blobs(1, 16, 16, 2);
  auto metric = boundary_iou(3);
  metric.update(scores_of(labels, 3), labels);
  EXPECT_EQ(figures_of(metric).at("mBoundaryIoU"), 1);
  EXPECT_TRUE(std::isnan(metric.tables().front().values[4]));
  metric.reset();
  EXPECT_TRUE(std::isnan(figures_of(metric).at("mBoundaryIoU")));
}

TEST(BoundaryIoU, DoesNotSeeTheInside) {
  auto labels = torch::zeros({1, 40, 40}, torch::kInt64);
  auto predictions = labels.clone();
  predictions[0][20][20] = 1;  // a wrong pixel deep inside: it makes a boundary of its own
  auto metric = boundary_iou(2);
  metric.update(scores_of(predictions, 2), labels);
  // The edge of the image is 4 * 39 pixels; around the wrong one there are 8 more.
  EXPECT_DOUBLE_EQ(metric.tables().front().values[0], 156.0 / (156 + 8));
}

}  // namespace
}  // namespace dnc
