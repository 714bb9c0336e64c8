#include "host/report/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "host/report/format.h"

namespace dnc::report {
namespace {

constexpr int64_t kBarColumns = 20;
constexpr double kSecondsBetweenDraws = 0.1;
constexpr std::string_view kClearLine = "\r\x1b[2K";

double steady_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string bar_text(double share) {
  const auto filled = static_cast<int64_t>(std::floor(share * kBarColumns));
  std::string text;
  for (int64_t i = 0; i < kBarColumns; ++i) text += i < filled ? "━" : "─";
  return text;
}

std::string rate_text(double images_per_second) {
  return images_per_second < 10'000 ? significant(images_per_second, 3) + " images/s"
                                    : significant(images_per_second / 1000, 3) + "k images/s";
}

/// A part of the line. Of those that do not fit, the one of the highest rank goes first.
struct Part {
  int rank;
  std::string text;
};

std::vector<Part> parts(const TaskProgress& progress, bool bar) {
  std::vector<Part> parts{{0, printable(progress.label)}};
  if (progress.steps > 0) {
    const double share = std::clamp(
        static_cast<double>(progress.step) / static_cast<double>(progress.steps), 0.0, 1.0);
    // Rounded down: 100 % is said at the end, not shortly before.
    if (bar) parts.push_back({1, fmt::format("{:3.0f} %", std::floor(share * 100))});
    if (bar) parts.push_back({6, bar_text(share)});
    parts.push_back({4, fmt::format("{}/{}", progress.step, progress.steps)});
  } else {
    parts.push_back({1, fmt::format("{}", progress.step)});
  }
  const auto add = [&](int rank, double value, const auto& to_text) {
    if (std::isfinite(value)) parts.push_back({rank, to_text(value)});
  };
  add(5, progress.epoch, [](double v) { return "epoch " + fixed(v, 1); });
  if (!std::isnan(progress.loss)) {  // An infinite one must be seen.
    parts.push_back(
        {3, "loss " + (std::isinf(progress.loss) ? "inf" : significant(progress.loss, 4))});
  }
  add(8, progress.lr, [](double v) { return "lr " + significant(v, 3); });
  add(7, progress.images_per_second, rate_text);
  add(2, progress.seconds_left, [](double v) { return duration(v) + " left"; });
  return parts;
}

std::string joined(const std::vector<Part>& parts) {
  std::string line;
  for (const auto& part : parts) {
    if (!line.empty() && !part.text.empty()) line += "  ";
    line += part.text;
  }
  return line;
}

}  // namespace

std::string progress_text(const TaskProgress& progress, bool bar, int64_t columns) {
  auto all = parts(progress, bar);
  auto line = joined(all);
  while (all.size() > 1 && display_width(line) > columns) {
    all.erase(std::ranges::max_element(all, {}, &Part::rank));
    line = joined(all);
  }
  return display_width(line) <= columns ? line : "";
}

int64_t terminal_columns(int file_descriptor) {
  winsize size{};
  const bool known = ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

ProgressLine::ProgressLine(std::ostream& out, bool tty, ProgressOptions options)
    : out_(out), tty_(tty), options_([&] {
        if (!options.clock) options.clock = steady_seconds;
        return std::move(options);
      }()) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(const TaskProgress& progress) {
  const std::lock_guard lock(mutex_);
  if (tty_) {
    update_terminal(progress);
  } else {
    update_plain(progress);
  }
}

void ProgressLine::update_terminal(const TaskProgress& progress) {
  const double now = options_.clock();
  const bool last = progress.steps > 0 && progress.step >= progress.steps;
  if (now - last_time_ < kSecondsBetweenDraws && !last && progress.label == last_label_) return;
  // One column stays free: a full line would wrap on some terminals.
  auto text = progress_text(progress, true, options_.columns - 1);
  last_time_ = now;
  last_label_ = progress.label;
  if (text == shown_) return;
  out_ << kClearLine << text << std::flush;
  shown_ = std::move(text);
}

void ProgressLine::update_plain(const TaskProgress& progress) {
  const double now = options_.clock();
  const auto epoch = std::isfinite(progress.epoch) ? static_cast<int64_t>(progress.epoch) : 0;
  const bool same_task = progress.label == last_label_;
  const bool last = progress.steps > 0 && progress.step >= progress.steps;
  if (same_task && progress.step == last_step_) return;
  last_step_ = progress.step;
  if (!same_task) {  // Nothing is known yet that would be worth a line.
    last_time_ = now;
    last_epoch_ = epoch;
    last_label_ = progress.label;
    if (!last) return;
  }
  if (same_task && !last && epoch == last_epoch_ && now - last_time_ < options_.plain_seconds)
    return;
  last_time_ = now;
  last_epoch_ = epoch;
  out_ << progress_text(progress, false, std::numeric_limits<int64_t>::max()) << '\n' << std::flush;
}

void ProgressLine::message(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto shown = shown_;
  clear();
  out_ << text << '\n' << shown << std::flush;
  shown_ = shown;
}

void ProgressLine::finish() {
  const std::lock_guard lock(mutex_);
  clear();
  last_time_ = -std::numeric_limits<double>::infinity();
  last_label_.clear();
}

void ProgressLine::clear() {
  if (shown_.empty()) return;
  out_ << kClearLine << std::flush;
  shown_.clear();
}

}  // namespace dnc::report
