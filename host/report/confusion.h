#pragma once

#include <cstdint>
#include <string>

#include "host/report/html.h"
#include "registry/image.h"
#include "registry/metric.h"

namespace dnc::report {

/// Up to so many classes a page shows a table of them open and a confusion matrix in numbers.
inline constexpr size_t kMostOpenClasses = 30;

// Confusion matrices: square tables of counts, a row for each true class, a column for each
// prediction.

/// The matrix with its numbers, each cell shaded by its share of the row: correct ones in blue,
/// errors in orange.
Markup heat_map(const Table& confusion, const std::string& caption);

/// The pairs of classes that are confused most often.
Markup confused_pairs(const Table& confusion, const std::string& caption);

/// The matrix as an RGB picture without text, shaded like the heat map on white, at least `side`
/// pixels wide. Each class has the same whole number of pixels, 4 or more; where there is no room
/// for that, neighbouring classes share a cell, which shows the largest share among them.
Image confusion_picture(const Table& confusion, int64_t side);

}  // namespace dnc::report
