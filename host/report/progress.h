#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <ostream>
#include <string>

namespace dnc::report {

/// How far a long task is. Numbers that are NaN are not shown.
struct TaskProgress {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  std::string label;  // "train", "val", "reading"
  int64_t step = 0;
  int64_t steps = 0;  // in all; 0 where it is not known
  double epoch = kNone;
  double loss = kNone;
  double lr = kNone;
  double images_per_second = kNone;
  double seconds_left = kNone;
};

/// One line of at most `columns` columns: what matters least is left out where it does not fit.
std::string progress_text(const TaskProgress& progress, bool bar, int64_t columns);

/// Columns of the terminal behind a file descriptor; 80 where it does not say.
int64_t terminal_columns(int file_descriptor);

struct ProgressOptions {
  int64_t columns = 80;
  double plain_seconds = 30;      // between two lines where the stream is no terminal
  std::function<double()> clock;  // seconds; empty: the steady clock
};

/// Shows how far a task is. On a terminal one line, drawn over itself at most ten times a second;
/// elsewhere a plain line now and then: at each new epoch, after `plain_seconds`, and at the last
/// step. Thread-safe.
class ProgressLine {
 public:
  ProgressLine(std::ostream& out, bool tty, ProgressOptions options = {});
  /// Clears the line.
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(const TaskProgress& progress);
  /// Prints a line of its own above the progress line.
  void message(const std::string& text);
  /// Clears the progress line, so that what is printed next starts on an empty line. An update
  /// after it begins anew.
  void finish();

 private:
  void update_terminal(const TaskProgress& progress);
  void update_plain(const TaskProgress& progress);
  void clear();

  std::ostream& out_;
  const bool tty_;
  const ProgressOptions options_;
  std::mutex mutex_;
  std::string shown_;  // what the terminal shows now
  double last_time_ = -std::numeric_limits<double>::infinity();
  std::string last_label_;
  int64_t last_epoch_ = 0;
  int64_t last_step_ = 0;
};

}  // namespace dnc::report
