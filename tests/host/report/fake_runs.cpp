#include "tests/host/report/fake_runs.h"

namespace dnc::report {

RunRecord fake_run(const std::string& name, int64_t seed, double accuracy) {
  RunRecord run;
  run.folder = "runs/" + name + "/" + std::to_string(seed);
  for (int64_t step = 100; step <= 400; step += 100) {
    auto& event = run.metrics.train.emplace_back();
    event.step = step;
    event.epoch = static_cast<double>(step) / 100;
    event.losses = {{"loss", 4.0 / event.epoch}, {"CrossEntropy", 4.0 / event.epoch}};
  }
  for (int64_t epoch = 1; epoch <= 3; ++epoch) {
    auto& event = run.metrics.evaluations.emplace_back();
    event.split = "val";
    event.step = 100 * epoch;
    event.epoch = static_cast<double>(epoch);
    event.figures = {{"accuracy/top1", accuracy - 0.1 * static_cast<double>(3 - epoch)}};
  }
  run.metrics.end_reason = "done";
  auto& result = run.result;
  result.name = name;
  result.config = "configs/" + name + ".yaml";
  result.seed = seed;
  result.steps = 400;
  result.epochs = 4;
  result.seconds = 61 + static_cast<double>(seed);
  result.step_ms_median = 5.25;
  result.step_ms_p90 = 6.5;
  result.images_per_second = 24800;
  result.peak_memory_mib = 612;
  result.learnable_parameters = 78042;
  result.total_parameters = 78330;
  result.buffers = 288;
  result.split = "test";
  result.figures = {{"accuracy/top1", accuracy}, {"f1", accuracy - 0.01}};
  result.tables = {{"per_class",
                    {"precision", "recall", "f1", "support"},
                    {"Bag", "Coat"},
                    {0.5, accuracy, 0.75, 100, 0.5, 0.8, 0.8, 100}},
                   {"confusion", {"Bag", "Coat"}, {"Bag", "Coat"}, {90, 10, 0, 100}}};
  result.cpu = "Test CPU";
  result.threads = 2;
  result.device = "cpu";
  result.version = "0.1.0";
  result.date = "2026-11-23T10:00:00Z";
  return run;
}

RunRecord fake_prototype_run(const std::string& name, int64_t seed, double accuracy) {
  auto run = fake_run(name, seed, accuracy);
  run.result.prototype_figures = {{"dead", 0.25}, {"agreement", 0.93}};
  run.result.mass = {{0.25, 0.75}, {1, 0}};
  run.prototype_classes = {"Bag", "Coat"};
  for (int64_t label = 0; label < 2; ++label) {
    for (int64_t index = 0; index < 2; ++index) {
      auto& prototype = run.prototypes.emplace_back();
      prototype.class_index = label;
      prototype.index = index;
      prototype.mass = run.result.mass[static_cast<size_t>(label)][static_cast<size_t>(index)];
      prototype.similarity = 0.98;
      prototype.sample = "train-images #" + std::to_string(10 * label + index);
      prototype.png = kTinyPng;
      prototype.width = 2;
      prototype.height = 3;
    }
  }
  return run;
}

Comparison fake_comparison() {
  Comparison comparison;
  comparison.configs = {
      {"linear",
       "configs/linear.yaml",
       {fake_run("linear", 0, 0.90), fake_run("linear", 1, 0.92), fake_run("linear", 2, 0.91)}},
      {"centroids",
       "configs/centroids.yaml",
       {fake_prototype_run("centroids", 0, 0.91), fake_prototype_run("centroids", 1, 0.94),
        fake_prototype_run("centroids", 2, 0.94)}}};
  return comparison;
}

}  // namespace dnc::report
