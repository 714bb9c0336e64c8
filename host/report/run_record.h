#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/report/picture.h"
#include "registry/metric.h"

namespace dnc::report {

/// Figures by name in the order of the file, most important first. NaN where the file says null.
using Figures = std::vector<std::pair<std::string, double>>;

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// The figure of that name, or NaN.
double figure(const Figures& figures, std::string_view name);

/// A line of metrics.jsonl about training. Numbers that the file does not have are NaN.
struct TrainEvent {
  int64_t step = 0;
  double epoch = kUnknown;
  double lr = kUnknown;
  Figures losses;  // "loss" is the sum
  double step_ms = kUnknown;
  double wait_ms = kUnknown;  // part of step_ms that was spent waiting for data
};

/// A line of metrics.jsonl about an evaluation.
struct EvaluationEvent {
  std::string split;
  int64_t step = 0;
  double epoch = kUnknown;
  Figures figures;
  Figures prototypes;  // of a head that has prototypes
};

/// A line of metrics.jsonl about damaged samples that do not count: of "train" all since the
/// process began, of another split those of one evaluation.
struct BadSamplesEvent {
  std::string split;
  int64_t step = 0;
  int64_t count = 0;
  std::string first;  // its name, and what is wrong with it
};

/// metrics.jsonl. A run that was killed and resumed writes some steps twice; the last ones count.
struct Metrics {
  std::vector<TrainEvent> train;
  std::vector<EvaluationEvent> evaluations;
  std::vector<BadSamplesEvent> bad_samples;  // the last of each split
  std::string end_reason;                    // "done", ...; empty while the run has not ended
};

/// result.json. Numbers that the file does not have are NaN.
struct RunResult {
  std::string name;
  std::string config;
  int64_t seed = 0;
  double steps = kUnknown;
  double epochs = kUnknown;
  double seconds = kUnknown;
  double step_ms_median = kUnknown;
  double step_ms_p90 = kUnknown;
  double images_per_second = kUnknown;
  double peak_memory_mib = kUnknown;
  double learnable_parameters = kUnknown;
  double total_parameters = kUnknown;
  double buffers = kUnknown;
  std::string split;
  Figures figures;
  std::vector<Table> tables;
  Figures prototype_figures;
  std::vector<std::vector<double>> mass;  // [classes][prototypes]
  std::string cpu;
  double threads = kUnknown;
  std::string device;
  std::string version;
  std::string date;  // ISO 8601, UTC
};

/// A prototype with the real training image that is nearest to it.
struct PrototypeImage {
  int64_t class_index = 0;
  int64_t index = 0;  // within the class
  double mass = kUnknown;
  double similarity = kUnknown;  // cosine, of prototype and image
  std::string sample;            // name of the image
  std::string png;               // base64
  int64_t width = 0;             // pixels of the PNG
  int64_t height = 0;
};

/// A line of prototypes.jsonl: how the prototypes of each class share its samples.
struct MassEvent {
  int64_t step = 0;
  std::vector<std::vector<double>> mass;  // [classes][prototypes]
};

/// A mistake as a page shows it.
struct ShownMistake {
  std::string sample;      // its name
  std::string label;       // the true class
  std::string prediction;  // the class it was taken for
  double score = 0;        // share of the prediction
  double label_score = 0;  // share of the true class
  Picture picture;         // may be empty
};

/// mistakes.json: the samples of the test that the model was most wrong about.
struct ShownMistakes {
  int64_t in_all = 0;
  std::vector<ShownMistake> worst;  // worst first
};

/// All that a finished run has left in its folder.
struct RunRecord {
  std::filesystem::path folder;
  Metrics metrics;
  RunResult result;
  std::vector<std::string> prototype_classes;  // class names of `prototypes`
  std::vector<PrototypeImage> prototypes;      // empty for a head without prototypes
};

/// Reads metrics.jsonl. A last line that was cut off by a crash is left out. Another damaged line
/// throws dnc::Error, which begins with file and line; or, where `damage` is given, is left out and
/// the message is added there.
Metrics read_metrics(const std::filesystem::path& file, std::vector<std::string>* damage = nullptr);

// The other files of a run's folder. All throw dnc::Error that begins with the file.
RunResult read_result(const std::filesystem::path& file);
void read_prototypes(const std::filesystem::path& file, RunRecord& record);
ShownMistakes read_mistakes(const std::filesystem::path& file);
/// prototypes.jsonl; of a step that is there twice the last line counts. Damage as above.
std::vector<MassEvent> read_mass(const std::filesystem::path& file,
                                 std::vector<std::string>* damage = nullptr);
/// environment.json: names and values in its order.
std::vector<std::pair<std::string, std::string>> read_environment(
    const std::filesystem::path& file);

/// Reads a folder's metrics.jsonl, result.json and, where there is one, prototypes.json. A run
/// without a test has the figures of its last evaluation. Throws dnc::Error that begins with the
/// file.
RunRecord read_run(const std::filesystem::path& folder);

/// The table of that name, or null.
const Table* find_table(const RunResult& result, std::string_view name);

}  // namespace dnc::report
