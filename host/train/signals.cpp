#include "host/train/signals.h"

#include <unistd.h>

#include <csignal>

namespace dnc {
namespace {

// Written by the handler, which may only touch such a variable.
volatile std::sig_atomic_t stop_signal = 0;

void on_signal(int signal) {
  if (stop_signal != 0) _exit(130);
  stop_signal = signal;
  constexpr char kText[] = "\nstopping after this step, with a checkpoint (once more: at once)\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
}

void handle(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  stop_signal = 0;
  handle(on_signal);
}

StopSignals::~StopSignals() { handle(SIG_DFL); }

int StopSignals::requested() { return stop_signal; }

}  // namespace dnc
