#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "host/program.h"
#include "host/rejection/unknown_test.h"
#include "host/report/unknown_section.h"
#include "host/run.h"
#include "host/train/views.h"

namespace dnc {

struct UnknownOptions {
  std::string source;                      // config, run or folder; empty: no unknown images
  std::vector<double> false_accept_rates;  // that thresholds are wanted for
  bool wanted() const { return !source.empty(); }
};

/// `--unknown` and `--far`.
void add_unknown_options(CLI::App& command, UnknownOptions& options);

/// What `test --unknown` does beside the test itself: takes the confidence scores of the images of
/// the test, then those of images of no class of the model, and says how well each score tells them
/// apart. With false-accept rates it writes the run's reject.json.
class UnknownImagesTest {
 public:
  /// Checks all that can be checked before the model runs. Program, run and split stay the
  /// caller's. Throws ConfigError, DataError, Error.
  UnknownImagesTest(Program& program, OpenedRun& run, const Split& known, const Views& views,
                    UnknownOptions options);

  /// For evaluate().
  void add_known(const Batch& batch, const Model::Output& output);
  /// The pass over the unknown images. Throws DataError, FileError.
  void run();

  // After run():
  std::string to_text() const;  // tables for a terminal
  nlohmann::ordered_json to_json() const;
  report::UnknownImages to_section() const;

 private:
  void look_at_unknown();
  void keep_thresholds();

  OpenedRun& run_;
  const Split& known_;
  UnknownOptions options_;
  std::shared_ptr<const Dataset> unknown_;
  UnknownTest test_;
  std::vector<Separation> results_;
  int64_t damaged_ = 0;
  std::string file_;  // reject.json, once it is written
};

}  // namespace dnc
