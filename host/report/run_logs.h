#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "host/report/comparison.h"
#include "host/report/run_so_far.h"

namespace dnc::report {

/// Runs side by side by what they have logged, finished or not.
class RunLogs {
 public:
  /// Reads the folders of runs. Each is called by as much of the end of its path as tells it from
  /// the others. Throws dnc::Error where one is no run or is given twice.
  explicit RunLogs(const std::vector<std::filesystem::path>& folders);

  const std::vector<RunSoFar>& runs() const { return runs_; }
  /// All that these runs have logged, by the names of series.h.
  const std::vector<std::string>& series() const { return series_; }
  /// The first figure of the evaluations and the training loss, as far as they are there.
  std::vector<std::string> main_series() const;
  /// The series that is meant: its name or the end of it, such as "accuracy/top1" or "loss". Throws
  /// dnc::Error for none and for several.
  std::string find_series(const std::string& wanted) const;

  /// A table with a row for each run, then a curve of each series and run, the axes of a series the
  /// same. `columns` is the width of the terminal; `ansi` allows bold print.
  std::string to_terminal(const std::vector<std::string>& series, int64_t columns, bool ansi) const;
  /// CSV by RFC 4180: run, series, step, epoch, value; unrounded, unknown values empty.
  std::string to_csv(const std::vector<std::string>& series) const;
  /// A self-contained page: the table, and a chart for each series with a line for each run.
  std::string to_html(const std::vector<std::string>& series, const std::string& command,
                      const std::string& date) const;

 private:
  std::vector<RunSoFar> runs_;
  Comparison comparison_;  // each run as a config of its own
  std::vector<std::string> series_;
};

}  // namespace dnc::report
