#include "host/commands/batch_progress.h"

#include <unistd.h>

#include <iostream>
#include <utility>

namespace dnc {

BatchProgress::BatchProgress(std::string label)
    : label_(std::move(label)),
      line_(
          std::cerr, isatty(STDERR_FILENO) != 0,
          {.columns = report::terminal_columns(STDERR_FILENO), .plain_seconds = 30, .clock = {}}) {}

void BatchProgress::update(int64_t done, int64_t all) {
  report::TaskProgress shown;
  shown.label = label_;
  shown.step = done;
  shown.steps = all;
  line_.update(shown);
}

}  // namespace dnc
