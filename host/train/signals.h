#pragma once

namespace dnc {

/// While it lives, SIGINT and SIGTERM ask for a stop instead of ending the process: the run ends its
/// step, saves and exits with 130. A second signal ends the process at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that asked for a stop, or 0.
  static int requested();
};

}  // namespace dnc
