#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/html.h"

namespace dnc::report {

/// How well a score tells known images from unknown ones.
struct ShownSeparation {
  struct Rate {
    double wanted = 0;  // share of unknown images that may pass
    double threshold = 0;
    double measured = 0;        // share of other unknown images that pass
    double known_rejected = 0;  // share of known images that do not
  };

  std::string score;
  std::string meaning;
  double auroc = 0;
  double fpr_at_95 = 0;
  std::vector<double> known;  // the score of each image
  std::vector<double> unknown;
  std::vector<Rate> rates;
};

/// What a page says of unknown images.
struct UnknownImages {
  std::string source;   // where they come from
  int64_t damaged = 0;  // that do not count
  std::string file;     // that has the thresholds; empty for none
  std::vector<ShownSeparation> scores;
};

/// A table of the scores, a histogram of each, and the thresholds. Nothing without scores.
Markup unknown_section(const UnknownImages& unknown);

/// Shares of the values in `bins` equal parts from `low` to `high`, both inclusive. Values outside
/// do not count.
std::vector<double> histogram(const std::vector<double>& values, double low, double high,
                              int64_t bins);

}  // namespace dnc::report
