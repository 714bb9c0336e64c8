#include "host/report/series.h"

#include <algorithm>

namespace dnc::report {
namespace {

constexpr std::string_view kTrain = "train/";
constexpr std::string_view kPrototypes = "prototypes/";

/// Calls `see` with the name and the value of each number of an event.
template <typename See>
void for_each_value(const TrainEvent& event, const See& see) {
  for (const auto& [name, value] : event.losses) see(std::string(kTrain) + name, value);
  see("train/lr", event.lr);
  see("train/step_ms", event.step_ms);
  see("train/wait_ms", event.wait_ms);
}

template <typename See>
void for_each_value(const EvaluationEvent& event, const See& see) {
  for (const auto& [name, value] : event.figures) see(event.split + "/" + name, value);
  for (const auto& [name, value] : event.prototypes) see(std::string(kPrototypes) + name, value);
}

template <typename Event>
void add_names(const std::vector<Event>& events, std::vector<std::string>& names) {
  for (const auto& event : events) {
    for_each_value(event, [&](const std::string& name, double) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    });
  }
}

template <typename Event>
void add_points(const std::vector<Event>& events, const std::string& wanted, Series& series) {
  for (const auto& event : events) {
    for_each_value(event, [&](const std::string& name, double value) {
      if (name == wanted) series.push_back({event.step, event.epoch, value});
    });
  }
}

}  // namespace

std::vector<std::string> series_names(const Metrics& metrics) {
  std::vector<std::string> names;
  add_names(metrics.evaluations, names);
  add_names(metrics.train, names);
  return names;
}

Series series(const Metrics& metrics, const std::string& name) {
  Series series;
  add_points(metrics.evaluations, name, series);
  add_points(metrics.train, name, series);
  return series;
}

bool is_figure(const std::string& series_name) {
  return !series_name.starts_with(kTrain) && !series_name.starts_with(kPrototypes);
}

}  // namespace dnc::report
