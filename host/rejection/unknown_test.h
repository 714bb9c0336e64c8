#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "host/data/loader.h"
#include "host/experiment.h"
#include "host/rejection/confidence.h"
#include "host/rejection/thresholds.h"

namespace dnc {

/// How well one score tells the known images of a test from unknown ones; see separation.h.
struct Separation {
  ConfidenceScore score;
  std::vector<double> known;    // of each image
  std::vector<double> unknown;  // of each image
  double auroc = 0;
  double fpr_at_95 = 0;   // false accepts where 95 % of the known images are accepted
  bool is_useful = true;  // false where all scores are one number
  std::vector<Threshold> thresholds;
};

/// Takes the confidence scores of known images and of unknown ones, and compares them.
class UnknownTest {
 public:
  explicit UnknownTest(Model& model);

  /// Each batch that the model has seen. Images without a label are left out of the known ones.
  /// Throws DataError for a score that is not finite, beginning with the name of the image.
  void add_known(const Dataset& dataset, const Batch& batch, const Model::Output& output);
  void add_unknown(const Dataset& dataset, const Batch& batch, const Model::Output& output);

  /// One for each score. For each of the rates a threshold is chosen on one half of the unknown
  /// images, drawn by the seed, and measured on the other; a score that is not useful has none.
  /// Throws DataError where there is nothing to compare, or with rates less than two unknown
  /// images.
  std::vector<Separation> result(const std::vector<double>& false_accept_rates,
                                 uint64_t seed) const;

 private:
  using Values = std::vector<std::vector<double>>;  // by score, of each image
  void add(Values& values, const Dataset& dataset, const Batch& batch, const Model::Output& output,
           bool labelled);

  Model& model_;
  std::vector<ConfidenceScore> scores_;
  Values known_;
  Values unknown_;
};

/// The same numbers in two halves, drawn by the seed; the first has the one that is left over.
struct Halves {
  std::vector<double> first;
  std::vector<double> second;
};
Halves halves_of(const std::vector<double>& values, uint64_t seed);

}  // namespace dnc
