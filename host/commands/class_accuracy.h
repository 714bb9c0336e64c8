#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "host/run.h"
#include "host/train/derived_run.h"

namespace dnc {

/// How images were classified: int64 [classes, classes], a row for each label, a column for each
/// prediction.
struct ClassCounts {
  torch::Tensor table;

  explicit ClassCounts(int64_t classes) : table(torch::zeros({classes, classes}, torch::kLong)) {}
  void add(const Batch& batch, const Model::Output& output);
  /// To watch an evaluation.
  UseBatch watch();

  int64_t samples(int64_t label) const;
  int64_t right(int64_t label) const;
  int64_t given(int64_t label, int64_t prediction) const;
};

/// Images as `right` of `samples`, e.g. of some classes together.
struct Share {
  int64_t right = 0;
  int64_t samples = 0;
  double value() const { return static_cast<double>(right) / static_cast<double>(samples); }
  Share& operator+=(const Share& other);
};

/// The test split of a model, counted by classes; none, with a warning, where it has none or its
/// data cannot be read. `figures` of all metrics come with it.
struct CountedTest {
  ClassCounts counts;
  Evaluation evaluation;
};
std::optional<CountedTest> count_test(OpenedRun& run,
                                      const std::function<void(const std::string&)>& warn);

/// Image files of one class, each as in a test.
Share count_files(OpenedRun& run, std::shared_ptr<const Dataset> files, int64_t label);

}  // namespace dnc
