#pragma once

#include "host/report/comparison.h"
#include "host/report/html.h"

namespace dnc::report {

// The parts of a report's page. Each is empty where the runs have nothing to show in it, and all
// work for one run of one config as well.

/// Main figure and loss against epochs: a line for each config, the mean over its seeds, with a
/// band from the lowest to the highest.
Markup learning_curves(const Comparison& comparison, const ComparisonSummary& summary);

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

/// Text with the proper minus sign: "-0.10" to "−0.10".
Markup number(std::string text);

}  // namespace dnc::report
