#include "host/components/pixel_metrics.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <mutex>

#include "registry/head.h"

namespace dnc {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kBlock = 1024;  // pixels at a time: their highest scores stay in the cache

double ratio(double part, double whole) { return whole > 0 ? part / whole : kNaN; }

/// The mean of the values that are numbers.
double mean_of(const std::vector<double>& values) {
  double sum = 0;
  double count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return ratio(sum, count);
}

/// One column of a table.
std::vector<double> column(const Table& table, size_t index) {
  std::vector<double> values;
  for (size_t i = index; i < table.values.size(); i += table.columns.size()) {
    values.push_back(table.values[i]);
  }
  return values;
}

void check_shapes(const char* metric, const torch::Tensor& scores, const torch::Tensor& labels,
                  int64_t classes) {
  auto expected = scores.sizes().vec();
  if (expected.size() > 1) expected.erase(expected.begin() + 1);
  TORCH_CHECK(scores.dim() >= 2 && scores.size(1) == classes, metric, ": scores are ",
              scores.sizes(), ", but there are ", classes, " classes");
  TORCH_CHECK(labels.sizes() == expected, metric, ": scores are ", scores.sizes(),
              ", so labels must be ", at::IntArrayRef(expected), ", not ", labels.sizes());
}

/// Scores on the CPU, float32, in one of two orders: class by class, or pixel by pixel. No copy is
/// made of what is so already.
struct ScoreView {
  explicit ScoreView(const torch::Tensor& given) {
    tensor = given.to(torch::kFloat32);
    const bool is_4d = tensor.dim() == 4;
    by_pixel =
        is_4d && !tensor.is_contiguous() && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
    if (!by_pixel) tensor = tensor.contiguous();
    images = tensor.size(0);
    classes = tensor.size(1);
    pixels = tensor.numel() / std::max<int64_t>(images * classes, 1);
    data = tensor.const_data_ptr<float>();
  }

  /// The class of each of `count` pixels of an image, from `first` on; `count` is at most kBlock.
  void find_highest(int64_t image, int64_t first, int64_t count, int32_t* out) const {
    const float* const scores = data + image * classes * pixels;
    if (by_pixel) {
      for_each_pixel(scores + first * classes, count, out);
    } else {
      for_each_class(scores + first, count, out);
    }
  }

  torch::Tensor tensor;
  const float* data = nullptr;
  bool by_pixel = false;
  int64_t images = 0;
  int64_t classes = 0;
  int64_t pixels = 0;  // of one image

 private:
  // "Not at most" rather than "more", so that a NaN takes the place, and nothing takes it from one.
  static bool is_before(float score, float best) { return !(score <= best) && best == best; }

  void for_each_class(const float* scores, int64_t count, int32_t* out) const {
    std::array<float, kBlock> best;
    std::copy_n(scores, count, best.begin());
    std::fill_n(out, count, 0);
    for (int32_t c = 1; c < static_cast<int32_t>(classes); ++c) {
      const float* const plane = scores + c * pixels;
      for (int64_t i = 0; i < count; ++i) {
        const bool better = is_before(plane[i], best[static_cast<size_t>(i)]);
        best[static_cast<size_t>(i)] = better ? plane[i] : best[static_cast<size_t>(i)];
        out[i] = better ? c : out[i];
      }
    }
  }

  void for_each_pixel(const float* scores, int64_t count, int32_t* out) const {
    for (int64_t i = 0; i < count; ++i, scores += classes) {
      int32_t highest = 0;
      for (int32_t c = 1; c < static_cast<int32_t>(classes); ++c) {
        if (is_before(scores[c], scores[highest])) highest = c;
      }
      out[i] = highest;
    }
  }
};

/// Adds to the confusion matrix `counts` [C, C], in one pass over the scores.
void count_pairs(const torch::Tensor& scores, const torch::Tensor& labels, torch::Tensor& counts) {
  const ScoreView view(scores);
  const auto flat = labels.contiguous();
  const auto* const label = flat.const_data_ptr<int64_t>();
  const auto cells = static_cast<size_t>(view.classes * view.classes);
  auto* const total = counts.mutable_data_ptr<int64_t>();
  const int64_t blocks = (view.pixels + kBlock - 1) / kBlock;
  std::mutex mutex;
  at::parallel_for(0, view.images * blocks, 16, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> own(cells);
    std::array<int32_t, kBlock> predictions;
    for (int64_t b = begin; b < end; ++b) {
      const int64_t image = b / blocks;
      const int64_t first = b % blocks * kBlock;
      const int64_t count = std::min(kBlock, view.pixels - first);
      view.find_highest(image, first, count, predictions.data());
      const int64_t* const expected = label + image * view.pixels + first;
      for (int64_t i = 0; i < count; ++i) {
        if (expected[i] == kIgnoredLabel) continue;
        TORCH_CHECK(expected[i] >= 0 && expected[i] < view.classes, "MeanIoU: label ", expected[i],
                    " is none of the ", view.classes, " classes");
        ++own[static_cast<size_t>(expected[i] * view.classes +
                                  predictions[static_cast<size_t>(i)])];
      }
    }
    const std::scoped_lock lock(mutex);
    for (size_t i = 0; i < cells; ++i) total[i] += own[i];
  });
}

/// The same on a device, without waiting for it: an ignored label counts 0 times.
void count_pairs_on_device(const torch::Tensor& scores, const torch::Tensor& labels,
                           torch::Tensor& counts) {
  const auto flat = labels.flatten();
  const auto cell = flat.clamp_min(0) * counts.size(1) + scores.argmax(1).flatten();
  counts.view({-1}).index_add_(0, cell, (flat != kIgnoredLabel).to(torch::kInt64));
}

/// The class of each pixel, on the CPU, int32 in the shape of the labels.
torch::Tensor predict(const torch::Tensor& scores, at::IntArrayRef shape) {
  if (!scores.device().is_cpu()) return scores.argmax(1).to(torch::kCPU, torch::kInt32);
  const ScoreView view(scores);
  auto predictions = torch::empty(shape, torch::kInt32);
  auto* const out = predictions.mutable_data_ptr<int32_t>();
  const int64_t blocks = (view.pixels + kBlock - 1) / kBlock;
  at::parallel_for(0, view.images * blocks, 16, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b % blocks * kBlock;
      view.find_highest(b / blocks, first, std::min(kBlock, view.pixels - first),
                        out + b / blocks * view.pixels + first);
    }
  });
  return predictions;
}

/// Class ids of one image, row by row.
struct LabelImage {
  const int32_t* ids;
  int64_t height;
  int64_t width;
};

constexpr int32_t kMixed = -2;  // other than every class id and than kIgnoredLabel

/// The ids of the pixels whose neighbours up to `distance` to the left and right have the same id;
/// kMixed for the others, also where such a neighbour lies beyond the edge.
std::vector<int32_t> keep_uniform_rows(const LabelImage& image, int64_t distance) {
  std::vector<int32_t> kept(static_cast<size_t>(image.height * image.width), kMixed);
  for (int64_t y = 0; y < image.height; ++y) {
    const int32_t* const row = image.ids + y * image.width;
    int32_t* const out = kept.data() + y * image.width;
    for (int64_t first = 0; first < image.width;) {  // of a run of one id
      int64_t end = first + 1;
      while (end < image.width && row[end] == row[first]) ++end;
      if (end - first > 2 * distance) {
        std::fill(out + first + distance, out + end - distance, row[first]);
      }
      first = end;
    }
  }
  return kept;
}

/// For each pixel 1 where it is in the boundary of its class: where the square up to `distance`
/// around it has another id in it, or reaches beyond the edge. Costs the same for any distance and
/// number of classes.
std::vector<uint8_t> find_boundary(const LabelImage& image, int64_t distance) {
  const auto rows = keep_uniform_rows(image, distance);
  const auto width = static_cast<size_t>(image.width);
  std::vector<uint8_t> boundary(rows.size(), 1);
  std::vector<int64_t> begin(width, 0);  // where the run of one id in a column began
  const auto end_run = [&](size_t x, int64_t end) {
    const auto id = rows[static_cast<size_t>(begin[x]) * width + x];
    if (id != kMixed) {
      for (int64_t y = begin[x] + distance; y < end - distance; ++y) {
        boundary[static_cast<size_t>(y) * width + x] = 0;
      }
    }
    begin[x] = end;
  };
  for (int64_t y = 1; y < image.height; ++y) {
    const int32_t* const row = rows.data() + y * image.width;
    for (size_t x = 0; x < width; ++x) {
      if (row[x] != (row - image.width)[x]) end_run(x, y);
    }
  }
  for (size_t x = 0; x < width; ++x) end_run(x, image.height);
  return boundary;
}

}  // namespace

void MeanIoU::Options::fields(Fields& f) {
  f("beta", beta, "Weight of recall against precision in mFscore.").above(0);
}

MeanIoU::MeanIoU(const Options& options, const Context& context)
    : names_(context.classes.names),
      beta_(options.beta),
      counts_(torch::zeros({context.classes.size(), context.classes.size()}, torch::kInt64)) {}

void MeanIoU::update(const torch::Tensor& scores, const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  check_shapes("MeanIoU", scores, labels, counts_.size(0));
  if (counts_.device() != scores.device()) counts_ = counts_.to(scores.device());
  if (scores.device().is_cpu()) {
    count_pairs(scores, labels, counts_);
  } else {
    count_pairs_on_device(scores, labels, counts_);
  }
}

std::vector<Table> MeanIoU::tables() const {
  Table table{
      "per_class", {"IoU", "Acc", "Dice", "Fscore", "precision", "recall", "support"}, names_, {}};
  const auto counts = counts_.cpu();
  const auto hits = counts.diagonal().contiguous();
  const auto labels = counts.sum(1);
  const auto predictions = counts.sum(0);
  for (int64_t c = 0; c < counts.size(0); ++c) {
    const auto hit = static_cast<double>(hits.const_data_ptr<int64_t>()[c]);
    const auto label = static_cast<double>(labels.const_data_ptr<int64_t>()[c]);
    const auto predicted = static_cast<double>(predictions.const_data_ptr<int64_t>()[c]);
    const double square = beta_ * beta_;
    const double recall = ratio(hit, label);
    table.values.insert(table.values.end(), {ratio(hit, label + predicted - hit), recall,
                                             ratio(2 * hit, label + predicted),
                                             ratio((1 + square) * hit, square * label + predicted),
                                             ratio(hit, predicted), recall, label});
  }
  return {table};
}

std::vector<std::pair<std::string, double>> MeanIoU::compute() const {
  const auto table = tables().front();
  const auto mean = [&](size_t index) { return mean_of(column(table, index)); };
  const auto counts = counts_.cpu();
  const auto right = static_cast<double>(counts.diagonal().sum().item<int64_t>());
  const auto all = static_cast<double>(counts.sum().item<int64_t>());
  return {{"mIoU", mean(0)},   {"aAcc", ratio(right, all)}, {"mAcc", mean(1)},
          {"mDice", mean(2)},  {"mFscore", mean(3)},        {"mPrecision", mean(4)},
          {"mRecall", mean(5)}};
}

void BoundaryIoU::Options::fields(Fields& f) {
  f("dilation", dilation,
    "How far a boundary reaches into its class, as a share of the image's diagonal.")
      .above(0)
      .at_most(1)
      .alias("dilation_ratio");
}

BoundaryIoU::BoundaryIoU(const Options& options, const Context& context)
    : names_(context.classes.names),
      dilation_(options.dilation),
      counts_(torch::zeros({3, context.classes.size()}, torch::kInt64)) {}

void BoundaryIoU::update(const torch::Tensor& scores, const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  check_shapes("BoundaryIoU", scores, labels, counts_.size(1));
  TORCH_CHECK(scores.dim() == 4, "BoundaryIoU: scores must be [N, C, H, W], not ", scores.sizes());
  const int64_t height = labels.size(1);
  const int64_t width = labels.size(2);
  const auto expected = labels.to(torch::kCPU, torch::kInt32).contiguous();
  const auto given =
      predict(scores, labels.sizes()).masked_fill_(expected == kIgnoredLabel, kIgnoredLabel);
  const double diagonal = std::hypot(static_cast<double>(height), static_cast<double>(width));
  const auto distance = std::max<int64_t>(std::llrint(dilation_ * diagonal), 1);
  auto added = torch::zeros({3, counts_.size(1)}, torch::kInt64);
  auto counts = added.accessor<int64_t, 2>();
  for (int64_t n = 0; n < labels.size(0); ++n) {
    const LabelImage truth{expected.const_data_ptr<int32_t>() + n * height * width, height, width};
    const LabelImage guess{given.const_data_ptr<int32_t>() + n * height * width, height, width};
    const auto truth_boundary = find_boundary(truth, distance);
    const auto guess_boundary = find_boundary(guess, distance);
    for (int64_t i = 0; i < height * width; ++i) {
      const int32_t label = truth.ids[i];
      const int32_t prediction = guess.ids[i];
      if (label == kIgnoredLabel) continue;
      TORCH_CHECK(label >= 0 && label < counts.size(1), "BoundaryIoU: label ", label,
                  " is none of the ", counts.size(1), " classes");
      const int64_t in_truth = truth_boundary[static_cast<size_t>(i)];
      const int64_t in_guess = guess_boundary[static_cast<size_t>(i)];
      counts[0][label] += label == prediction ? in_truth * in_guess : 0;
      counts[1][label] += in_truth;
      counts[2][prediction] += in_guess;
    }
  }
  if (counts_.device() != scores.device()) counts_ = counts_.to(scores.device());
  counts_.add_(added.to(scores.device()));
}

std::vector<Table> BoundaryIoU::tables() const {
  Table table{"boundary", {"IoU", "support"}, names_, {}};
  const auto host = counts_.cpu();
  const auto count = host.accessor<int64_t, 2>();
  for (int64_t c = 0; c < count.size(1); ++c) {
    const auto hits = static_cast<double>(count[0][c]);
    const auto both = static_cast<double>(count[1][c] + count[2][c]);
    table.values.push_back(ratio(hits, both - hits));
    table.values.push_back(static_cast<double>(count[1][c]));
  }
  return {table};
}

std::vector<std::pair<std::string, double>> BoundaryIoU::compute() const {
  return {{"mBoundaryIoU", mean_of(column(tables().front(), 0))}};
}

}  // namespace dnc
