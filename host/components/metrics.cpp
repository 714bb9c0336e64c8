#include "host/components/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double ratio(double part, double whole) { return whole > 0 ? part / whole : kNaN; }

/// The mean of values of which NaN counts as 0.
double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::isnan(value) ? 0 : value;
  return ratio(sum, static_cast<double>(values.size()));
}

void check_shapes(const torch::Tensor& scores, const torch::Tensor& labels, int64_t classes) {
  auto expected = scores.sizes().vec();
  if (expected.size() > 1) expected.erase(expected.begin() + 1);
  TORCH_CHECK(scores.dim() >= 2 && scores.size(1) == classes, "metric: scores are ", scores.sizes(),
              ", but there are ", classes, " classes");
  TORCH_CHECK(labels.sizes() == expected, "metric: scores are ", scores.sizes(),
              ", so labels must be ", at::IntArrayRef(expected), ", not ", labels.sizes());
}

/// Labels and predictions of a batch, flat. Nothing here waits for the device: an ignored label
/// becomes class 0 and counts 0 times.
struct Pairs {
  torch::Tensor labels;       // int64 [M]
  torch::Tensor predictions;  // int64 [M]
  torch::Tensor valid;        // int64 [M], 1 or 0: how often a pair counts
};

Pairs pairs_of(const torch::Tensor& scores, const torch::Tensor& labels, int64_t classes) {
  check_shapes(scores, labels, classes);
  const auto flat = labels.flatten();
  return {flat.clamp_min(0), scores.argmax(1).flatten(), (flat != kIgnoredLabel).to(torch::kInt64)};
}

/// Counts live where the scores are, from the first batch on.
void move_to(torch::Tensor& counts, const torch::Tensor& scores) {
  if (counts.device() != scores.device()) counts = counts.to(scores.device());
}

}  // namespace

void Accuracy::Options::fields(Fields& f) {
  f("top_k", top_k, "Each k for which the label may be among the k highest scores.")
      .at_least(1)
      .length(1, 100)
      .alias("topk");
}

Accuracy::Accuracy(const Options& options, const Context& context)
    : classes_(context.classes.size()) {
  for (const int64_t k : options.top_k) {
    if (k <= classes_) top_k_.push_back(k);
  }
  if (top_k_.empty()) {
    throw OptionError("top_k", "has no number up to the number of classes, which is " +
                                   std::to_string(classes_) + "; add 1");
  }
  std::sort(top_k_.begin(), top_k_.end());
  top_k_.erase(std::unique(top_k_.begin(), top_k_.end()), top_k_.end());
  counts_ = torch::zeros({static_cast<int64_t>(top_k_.size()) + 1}, torch::kInt64);
}

void Accuracy::reset() { counts_.zero_(); }

void Accuracy::update(const torch::Tensor& scores, const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  check_shapes(scores, labels, classes_);
  move_to(counts_, scores);
  const auto index = labels.clamp_min(0).unsqueeze(1);
  const auto own = scores.gather(1, index);
  std::vector<int64_t> shape(static_cast<size_t>(scores.dim()), 1);
  shape[1] = -1;
  const auto classes = torch::arange(scores.size(1), labels.options()).view(shape);
  // How many classes stand before the label's. "Not at most" rather than "more": NaN stands first.
  const auto before =
      (scores <= own).logical_not_().logical_or_((scores == own).logical_and_(classes < index));
  const auto rank = before.sum(1);
  const auto valid = labels != kIgnoredLabel;
  for (size_t i = 0; i < top_k_.size(); ++i) {
    counts_[static_cast<int64_t>(i)].add_((rank < top_k_[i]).logical_and_(valid).sum());
  }
  counts_[-1].add_(valid.sum());
}

std::vector<std::pair<std::string, double>> Accuracy::compute() const {
  const auto host = counts_.cpu();
  const auto total = static_cast<double>(host[-1].item<int64_t>());
  std::vector<std::pair<std::string, double>> figures;
  for (size_t i = 0; i < top_k_.size(); ++i) {
    const auto hits = static_cast<double>(host[static_cast<int64_t>(i)].item<int64_t>());
    figures.emplace_back("accuracy/top" + std::to_string(top_k_[i]), ratio(hits, total));
  }
  return figures;
}

ClassReport::ClassReport(const Context& context)
    : names_(context.classes.names),
      counts_(torch::zeros({3, context.classes.size()}, torch::kInt64)) {}

void ClassReport::reset() { counts_.zero_(); }

void ClassReport::update(const torch::Tensor& scores, const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  const auto pairs = pairs_of(scores, labels, counts_.size(1));
  move_to(counts_, scores);
  const auto hits = pairs.valid * (pairs.labels == pairs.predictions);
  counts_[0].index_add_(0, pairs.labels, hits);
  counts_[1].index_add_(0, pairs.predictions, pairs.valid);
  counts_[2].index_add_(0, pairs.labels, pairs.valid);
}

std::vector<Table> ClassReport::tables() const {
  Table table{"per_class", {"precision", "recall", "f1", "support"}, names_, {}};
  const auto host = counts_.cpu();
  const auto count = host.accessor<int64_t, 2>();
  for (int64_t c = 0; c < host.size(1); ++c) {
    const auto hits = static_cast<double>(count[0][c]);
    const auto predicted = static_cast<double>(count[1][c]);
    const auto support = static_cast<double>(count[2][c]);
    table.values.insert(table.values.end(), {ratio(hits, predicted), ratio(hits, support),
                                             ratio(2 * hits, predicted + support), support});
  }
  return {table};
}

std::vector<std::pair<std::string, double>> ClassReport::compute() const {
  const auto table = tables().front();
  std::vector<double> precision, recall, f1;
  for (size_t at = 0; at < table.values.size(); at += table.columns.size()) {
    // Without labels and predictions there is no F1, and the class does not occur.
    if (std::isnan(table.values[at + 2])) continue;
    precision.push_back(table.values[at]);
    recall.push_back(table.values[at + 1]);
    f1.push_back(table.values[at + 2]);
  }
  return {{"f1", mean_of(f1)}, {"precision", mean_of(precision)}, {"recall", mean_of(recall)}};
}

Confusion::Confusion(const Context& context)
    : names_(context.classes.names),
      counts_(torch::zeros({context.classes.size(), context.classes.size()}, torch::kInt64)) {}

void Confusion::reset() { counts_.zero_(); }

void Confusion::update(const torch::Tensor& scores, const torch::Tensor& labels) {
  const torch::NoGradGuard no_grad;
  const auto pairs = pairs_of(scores, labels, counts_.size(1));
  move_to(counts_, scores);
  const auto cell = pairs.labels * counts_.size(1) + pairs.predictions;
  counts_.view({-1}).index_add_(0, cell, pairs.valid);
}

std::vector<Table> Confusion::tables() const {
  const auto values = counts_.cpu().to(torch::kFloat64).contiguous();
  const auto* const first = values.data_ptr<double>();
  return {{"confusion", names_, names_, {first, first + values.numel()}}};
}

}  // namespace dnc
