#include "host/report/run_so_far.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "host/files.h"
#include "host/report/statistics.h"
#include "registry/config.h"
#include "registry/error.h"

namespace dnc::report {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestText = 64 << 20;

bool is_there(const fs::path& file) {
  std::error_code unreadable;
  return fs::exists(file, unreadable);
}

/// Reads a file if it is there; a damaged one is named in `damage`.
template <typename Read>
void read_if_there(const fs::path& file, std::vector<std::string>& damage, const Read& read) {
  if (!is_there(file)) return;
  try {
    read(file);
  } catch (const Error& error) {
    damage.emplace_back(error.what());
  }
}

/// The number at a path of a config; NaN where there is none.
double number_at(const Node& config, std::initializer_list<std::string> path) {
  const Node* node = &config;
  for (const auto& key : path) {
    node = node == nullptr || !node->is_map() ? nullptr : node->find(key);
  }
  if (node == nullptr || !node->is_scalar()) return kUnknown;
  const auto& text = node->scalar;
  double number = kUnknown;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : kUnknown;
}

/// The values of one number of the training events that have it.
template <typename Get>
std::vector<double> known(const std::vector<TrainEvent>& events, const Get& get) {
  std::vector<double> values;
  for (const auto& event : events) {
    if (std::isfinite(get(event))) values.push_back(get(event));
  }
  return values;
}

double steps_of(const Metrics& metrics) {
  double steps = 0;
  if (!metrics.train.empty()) steps = static_cast<double>(metrics.train.back().step);
  if (metrics.evaluations.empty()) return steps;
  return std::max(steps, static_cast<double>(metrics.evaluations.back().step));
}

/// How many steps an epoch has: each event says both.
double steps_per_epoch(const Metrics& metrics) {
  for (const auto& event : metrics.train) {
    if (event.epoch > 0) return static_cast<double>(event.step) / event.epoch;
  }
  for (const auto& event : metrics.evaluations) {
    if (event.epoch > 0) return static_cast<double>(event.step) / event.epoch;
  }
  return kUnknown;
}

/// What the log says of time and speed.
void add_speed(const Metrics& metrics, double batch_size, RunResult& result) {
  double seconds = 0, before = 0;
  for (const auto& event : metrics.train) {
    const auto step = static_cast<double>(event.step);
    if (std::isfinite(event.step_ms)) seconds += (step - before) * event.step_ms / 1e3;
    before = step;
  }
  if (seconds > 0) result.seconds = seconds;
  auto times = known(metrics.train, [](const auto& event) { return event.step_ms; });
  if (times.empty()) return;
  std::ranges::sort(times);
  result.step_ms_median = median(times);
  result.step_ms_p90 = times[times.size() * 9 / 10];
  result.images_per_second = batch_size * 1e3 / result.step_ms_median;
}

std::string time_of(const fs::path& file) {
  std::error_code missing;
  const auto time = fs::last_write_time(file, missing);
  if (missing) return "";
  const auto system = std::chrono::file_clock::to_sys(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     std::chrono::time_point_cast<std::chrono::seconds>(system));
}

/// In place of result.json.
RunResult result_so_far(const RunSoFar& so_far, const Node& config, const fs::path& folder) {
  const auto& metrics = so_far.run.metrics;
  auto path = folder.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  RunResult result;
  result.name = path.filename().string();
  result.config = (folder / "config.yaml").string();
  const double seed = number_at(config, {"seed"});
  result.seed = std::isfinite(seed) ? static_cast<int64_t>(seed) : 0;
  result.steps = steps_of(metrics);
  result.epochs = result.steps / steps_per_epoch(metrics);
  add_speed(metrics, number_at(config, {"data", "batch_size"}), result);
  if (!metrics.evaluations.empty()) {
    const auto& last = metrics.evaluations.back();
    result.split = last.split;
    result.figures = last.figures;
    result.prototype_figures = last.prototypes;
  }
  if (!so_far.mass.empty()) result.mass = so_far.mass.back().mass;
  for (const auto& [name, value] : so_far.environment) {
    if (name == "cpu") result.cpu = value;
    if (name == "device") result.device = value;
    if (name == "version") result.version = value;
    if (name == "threads") result.threads = std::strtod(value.c_str(), nullptr);
  }
  result.date = time_of(folder / "metrics.jsonl");
  return result;
}

}  // namespace

RunSoFar read_run_so_far(const fs::path& folder) {
  if (!is_there(folder / "config.yaml") && !is_there(folder / "metrics.jsonl")) {
    throw Error(
        fmt::format("{}: is not the folder of a run: it has neither config.yaml nor metrics.jsonl; "
                    "give the folder that `dnc-host train` wrote",
                    folder.string()));
  }
  RunSoFar so_far;
  auto& [run, is_complete, steps_in_all, tested, mass, mistakes, text, environment, damage] =
      so_far;
  run.folder = folder;
  Node config = Node::make_map();
  read_if_there(folder / "metrics.jsonl", damage,
                [&](const auto& file) { run.metrics = read_metrics(file, &damage); });
  read_if_there(folder / "prototypes.jsonl", damage,
                [&](const auto& file) { mass = read_mass(file, &damage); });
  read_if_there(folder / "prototypes.json", damage,
                [&](const auto& file) { read_prototypes(file, run); });
  read_if_there(folder / "mistakes.json", damage,
                [&](const auto& file) { mistakes = read_mistakes(file); });
  read_if_there(folder / "environment.json", damage,
                [&](const auto& file) { environment = read_environment(file); });
  read_if_there(folder / "config.yaml", damage, [&](const auto& file) {
    text = read_file(file, kLargestText);
    config = parse_config(text, file.string());
  });
  read_if_there(folder / "config_origins.yaml", damage,
                [&](const auto& file) { text = read_file(file, kLargestText); });
  read_if_there(folder / "result.json", damage, [&](const auto& file) {
    run.result = read_result(file);
    is_complete = true;
  });
  if (!is_complete) run.result = result_so_far(so_far, config, folder);
  if (is_complete && run.result.figures.empty() && !run.metrics.evaluations.empty()) {
    run.result.split = run.metrics.evaluations.back().split;
    run.result.figures = run.metrics.evaluations.back().figures;
  }
  steps_in_all = number_at(config, {"train", "steps"});
  if (!std::isfinite(steps_in_all)) {
    steps_in_all =
        std::round(number_at(config, {"train", "epochs"}) * steps_per_epoch(run.metrics));
  }
  return so_far;
}

}  // namespace dnc::report
