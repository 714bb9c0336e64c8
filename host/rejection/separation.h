#pragma once

#include <cstdint>
#include <vector>

namespace dnc {

// How well a score tells known samples, which are of the model's classes, from unknown ones. Known
// is the positive class, a higher score speaks for known, and a sample is accepted as known where
// its score is at least a threshold. Scores are finite; in each list there is at least one. Else
// std::invalid_argument.

/// Area under the ROC curve: the share of pairs of a known and an unknown sample in which the known
/// one has the higher score, equal scores counting half (the Mann-Whitney statistic). Exact, in
/// O((n + m) log (n + m)). 1 is perfect, 0.5 is chance.
double auroc(const std::vector<double>& known, const std::vector<double>& unknown);

/// The share of unknown samples that are accepted at the highest threshold that accepts at least
/// `share` (above 0, at most 1) of the known ones. FPR@95 is that of a share of 0.95.
double false_accepts_at(const std::vector<double>& known, const std::vector<double>& unknown,
                        double share);

/// The share of scores that a threshold accepts.
double accepted_share(const std::vector<double>& scores, double threshold);

/// The lowest threshold that accepts at most `false_accept_rate` (in [0, 1)) of the unknown
/// samples: the number right above the score of the first one that must not pass.
double threshold_for(const std::vector<double>& unknown, double false_accept_rate);

/// Whether all scores are one number: then they tell nothing apart.
bool all_equal(const std::vector<double>& known, const std::vector<double>& unknown);

}  // namespace dnc
