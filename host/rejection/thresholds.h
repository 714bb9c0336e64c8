#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/run.h"

namespace dnc {

/// An image is known where its score is at least `threshold`.
struct Threshold {
  std::string score;             // see confidence_scores()
  double false_accept_rate = 0;  // that was wanted: share of unknown images that pass
  double threshold = 0;
  double measured = 0;        // share of other unknown images that pass
  double known_rejected = 0;  // share of known images that do not
};

/// What `test --far` finds and `predict --reject` uses: a run's reject.json.
struct RejectionThresholds {
  std::string model;        // digest_for_rejection() of the model that they are for
  std::string unknown;      // where the unknown images come from, for people
  int64_t chosen_on = 0;    // unknown images
  int64_t measured_on = 0;  // other unknown images
  std::vector<Threshold> thresholds;
};

/// What a threshold depends on: a checksum of the weights, and of how images are made the network's
/// input.
std::string digest_for_rejection(const OpenedRun& run);

/// Where a run keeps them.
std::filesystem::path thresholds_file(const OpenedRun& run);

void write_thresholds(const std::filesystem::path& file, const RejectionThresholds& thresholds);

/// Throws Error, beginning with the file, where it is not there or damaged; the message says how it
/// is made.
RejectionThresholds read_thresholds(const std::filesystem::path& file);

/// The threshold of a score for a rate. An empty score stands for the first one in the file, a rate
/// below 0 for the first one of that score. Throws Error where the file is of another model or has
/// no such threshold.
Threshold find_threshold(const std::filesystem::path& file, const std::string& model,
                         const std::string& score, double false_accept_rate);

}  // namespace dnc
