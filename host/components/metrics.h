#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/context.h"
#include "registry/fields.h"
#include "registry/metric.h"

namespace dnc {

/// Share of labels that are among the k classes with the highest scores: "accuracy/top1", ...
///
/// Of equal scores the one of the lower class counts as higher, so a network that gives the same
/// score to all classes does not look perfect; a label whose score is NaN is never right.
/// A k above the number of classes is left out. NaN where no label was seen.
class Accuracy final : public Metric {
 public:
  struct Options {
    std::vector<int64_t> top_k = {1, 5};
    void fields(Fields& f);
  };

  /// Throws OptionError where every k is above the number of classes.
  Accuracy(const Options& options, const Context& context);
  void reset() override;
  void update(const torch::Tensor& scores, const torch::Tensor& labels) override;
  std::vector<torch::Tensor> counts() override { return {counts_}; }
  std::vector<std::pair<std::string, double>> compute() const override;

 private:
  int64_t classes_;
  std::vector<int64_t> top_k_;  // rising, each once
  torch::Tensor counts_;        // int64 [number of k + 1]: hits for each k, then the labels in all
};

/// Precision, recall and F1 of each class in the table "per_class", with the number of its labels
/// as "support"; NaN where there is nothing to divide by.
///
/// The figures "f1", "precision" and "recall" are means over the classes that occur among the
/// labels or the predictions, with 0 for NaN (scikit-learn's "macro" with zero_division = 0).
class ClassReport final : public Metric {
 public:
  explicit ClassReport(const Context& context);
  void reset() override;
  void update(const torch::Tensor& scores, const torch::Tensor& labels) override;
  std::vector<torch::Tensor> counts() override { return {counts_}; }
  std::vector<std::pair<std::string, double>> compute() const override;
  std::vector<Table> tables() const override;

 private:
  std::vector<std::string> names_;
  torch::Tensor counts_;  // int64 [3, C]: hits, predictions, labels
};

/// The table "confusion": how many labels of the row's class were given the column's class.
class Confusion final : public Metric {
 public:
  explicit Confusion(const Context& context);
  void reset() override;
  void update(const torch::Tensor& scores, const torch::Tensor& labels) override;
  std::vector<torch::Tensor> counts() override { return {counts_}; }
  std::vector<std::pair<std::string, double>> compute() const override { return {}; }
  std::vector<Table> tables() const override;

 private:
  std::vector<std::string> names_;
  torch::Tensor counts_;  // int64 [C, C]: rows are labels, columns are predictions
};

}  // namespace dnc
