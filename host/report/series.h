#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/run_record.h"

namespace dnc::report {

/// A value at a step of a run.
struct SeriesPoint {
  int64_t step = 0;
  double epoch = kUnknown;
  double value = kUnknown;
};
using Series = std::vector<SeriesPoint>;

/// What a run has logged, under the names that TensorBoard shows: "train/loss", "train/lr",
/// "train/step_ms", "train/wait_ms", "val/accuracy/top1", "prototypes/dead", in the order of the
/// log, evaluations first.
std::vector<std::string> series_names(const Metrics& metrics);

/// The values of one of them by rising step; empty for a name that the log does not have.
Series series(const Metrics& metrics, const std::string& name);

/// Whether a name is that of a figure of an evaluation, which may be a share. Losses, lr, times and
/// what heads report about their prototypes are not.
bool is_figure(const std::string& series_name);

}  // namespace dnc::report
