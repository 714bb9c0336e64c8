#pragma once

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <memory>
#include <string>

#include "host/export/recording.h"
#include "host/program.h"
#include "registry/config.h"

namespace dnc {

/// A model that a config assembles from the plugins, with the weights that a seed gives.
struct Exported {
  explicit Exported(const std::string& model, const std::string& data = "") {
    torch::manual_seed(1);
    const auto config = "{device: cpu, model: {preprocess: {mean: [10, 20, 30], std: [2, 4, 8]}, " +
                        model + "}, data: {train: {dataset: {type: Synthetic, length: 4" + data +
                        "}}}, train: {steps: 1}}";
    experiment = std::make_unique<Experiment>(program.registry(), program.images(),
                                              parse_config(config, "test"));
    experiment->split("train");
    network = experiment->build_model();
    info = {experiment->classes(), experiment->task(), {{10, 20, 30}, {2, 4, 8}}, {64, 64}, "a: 1"};
  }

  Program program;
  std::unique_ptr<Experiment> experiment;
  std::shared_ptr<Model> network;
  ExportInfo info;
};

inline double difference(const torch::Tensor& a, const torch::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().amax().item<double>() / std::max(1e-6, b.abs().amax().item<double>());
}

inline torch::Tensor bytes(int64_t count, int64_t height, int64_t width) {
  return torch::randint(0, 256, {count, 3, height, width}, torch::kUInt8);
}

inline constexpr const char* kImageHead = "decode_head: GlobalAveragePooling, head: ";

}  // namespace dnc
