#pragma once

#include <string>
#include <vector>

#include "host/report/comparison.h"
#include "host/report/html.h"

namespace dnc::report {

// The parts of a report's page. Each is empty where the runs have nothing to show in it, and all
// work for one run of one config as well.

/// What came out, in words.
Markup finding(const ComparisonSummary& summary);

/// The main figure and the cost of each config, the notes, and what the columns mean.
Markup results(const ComparisonSummary& summary);

/// The command that made the page (may be empty), configs, machine, version and date (empty: that
/// of the latest run).
Markup provenance(const Comparison& comparison, const std::string& command,
                  const std::string& date);

/// Main figure and loss against epochs: a line for each config, the mean over its seeds, with a
/// band from the lowest to the highest.
Markup learning_curves(const Comparison& comparison, const ComparisonSummary& summary);

/// One chart for each of these series (see series.h), with a line for each config.
Markup series_charts(const Comparison& comparison, const std::vector<std::string>& names);

/// All that one run has logged: figures, losses, learning rate, step time, and what its head
/// reports about prototypes.
Markup run_curves(const RunRecord& run);

/// How the prototypes of each class share its samples over the run, a small chart for each class.
Markup mass_over_time(const RunRecord& run, const std::vector<MassEvent>& events);

/// All figures of the test, a row each, a column for each config.
Markup figure_table(const Comparison& comparison);

/// The table "per_class" of the test, means over seeds: a row for each class, the best config of
/// each marked.
Markup class_table(const Comparison& comparison);

/// The table "confusion" of each config's first seed as a heat map, or, for many classes, the pairs
/// that are confused most.
Markup confusion(const Comparison& comparison);

/// Figures about prototypes, a row for each config that has them.
Markup prototype_figures(const Comparison& comparison);

/// Each prototype as the real training image next to it, of each config's first seed.
Markup prototype_gallery(const Comparison& comparison);

/// A row for each run: what it cost, when, and where its folder is.
Markup run_table(const Comparison& comparison);

/// The name of a class of a run, by its test or its prototypes; "class 3" where nothing says it.
std::string class_name(const RunRecord& run, int64_t label);

/// Whether a config of these has several seeds, so that numbers are means.
bool has_seeds(const Comparison& comparison);

/// Text with the proper minus sign: "-0.10" to "−0.10".
Markup number(std::string text);

}  // namespace dnc::report
