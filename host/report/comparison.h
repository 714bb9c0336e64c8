#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/report/run_record.h"
#include "host/report/statistics.h"

namespace dnc::report {

/// The runs of one config, by rising seed.
struct ConfigRuns {
  std::string name;    // unique within a comparison
  std::string config;  // the file
  std::vector<RunRecord> runs;
};

/// Configs in the order in which they were given; the first is what the others are compared with.
/// A comparison of one config is the report of a training.
struct Comparison {
  std::vector<ConfigRuns> configs;
};

/// Reads finished run folders and groups them by config. Throws dnc::Error where a folder cannot be
/// read, or where two runs have the same config and seed.
Comparison read_comparison(const std::vector<std::filesystem::path>& run_folders);

/// What a config's runs come to. Numbers that no run has are NaN.
struct ConfigSummary {
  std::string name;
  std::vector<int64_t> seeds;
  Spread figure;                // of the comparison's main figure
  PairedDifference difference;  // to the first config, which has 0 pairs itself
  double learnable_parameters = kUnknown;
  double step_ms = kUnknown;            // median over the runs of their median steps
  double images_per_second = kUnknown;  // median over the runs
  double peak_memory_mib = kUnknown;    // largest
  double seconds = kUnknown;            // mean
};

struct ComparisonSummary {
  std::string figure;  // the name of the main figure: the first one of the first run's test;
                       // "figure" where it has none
  std::string split;   // that it was tested on
  bool share = false;  // whether the figure is a share, to be shown in percent
  std::vector<ConfigSummary> configs;
  /// What a reader must know to judge the comparison, each a sentence: one seed only, other
  /// machines, runs that ended early.
  std::vector<std::string> notes;
};

ComparisonSummary summarise(const Comparison& comparison);

/// The figure of that name over the runs of a config.
Spread figure_spread(const ConfigRuns& config, std::string_view figure_name);

/// Whether all values of the figure lie in [0, 1], so that it can be shown in percent. A loss is
/// never a share.
bool is_share(std::string_view figure_name, const std::vector<double>& values);

/// "91.40 ± 0.12" or, of one run, "91.40"; `scale` is 100 for percent.
std::string spread_text(const Spread& spread, double scale, int decimals);

/// "+0.31 [-0.10, +0.72]", of one pair "+0.31 (one seed)", "–" without any.
std::string difference_text(const PairedDifference& difference, double scale, int decimals);

}  // namespace dnc::report
