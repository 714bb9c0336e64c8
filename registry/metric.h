#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// Named figures with rows and columns, e.g. one row a class.
struct Table {
  std::string name;                  // "per_class", "confusion"
  std::vector<std::string> columns;  // "precision", ...
  std::vector<std::string> rows;     // class names
  std::vector<double> values;        // rows x columns; NaN where there is nothing to divide by
};

/// Compares scores with labels over a whole data set, in exact integer counts, so that the result
/// does not depend on batches or ranks.
class DNC_EXPORT Metric {
 public:
  virtual ~Metric();
  virtual void reset() = 0;
  /// Scores [N, classes, ...] and int64 labels [N, ...]; kIgnoredLabel does not count.
  virtual void update(const torch::Tensor& scores, const torch::Tensor& labels) = 0;
  /// The counts, to be summed over ranks in place before compute().
  virtual std::vector<torch::Tensor> counts() = 0;
  /// Figures by name, most important first: ("accuracy/top1", 0.914). Shares are in [0, 1].
  virtual std::vector<std::pair<std::string, double>> compute() const = 0;
  virtual std::vector<Table> tables() const;
};

}  // namespace dnc
