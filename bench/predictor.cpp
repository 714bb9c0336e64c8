// dnc::Predictor with one image beside a bare forward of the same exported module: what the library
// costs. The two take turns, so that a busy machine slows both alike, and their classes and
// probabilities must be equal.
//
//   OMP_NUM_THREADS=1 bench_predictor [rounds]

#include "predictor/predictor.h"

#include <fmt/format.h>
#include <torch/script.h>
#include <torch/torch.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <vector>

#include "bench/network.h"
#include "host/environment.h"
#include "host/export/torch_script.h"

namespace {

namespace fs = std::filesystem;

double seconds_of(const std::function<void()>& call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The network with random weights, as a file of `dnc-host export`.
void write_exported(const dnc::Network& network, const fs::path& file) {
  const auto config = dnc::parse_config(dnc::config_of(network, "Linear", "float32"), "bench");
  dnc::Experiment experiment(dnc::program().registry(), dnc::program().images(), config);
  const auto model = experiment.build_model();
  dnc::ExportInfo info;
  info.classes = experiment.classes();
  info.preprocess = experiment.options().model.preprocess;
  info.config = dnc::to_yaml(experiment.resolved());
  info.size = {network.height, network.width};
  const auto exported = dnc::to_torch_script(*model, info);
  dnc::write_torch_script(exported.module, *model, info, file);
}

/// Whether both say the same.
bool compare(const dnc::Network& network, const fs::path& file, int rounds) {
  write_exported(network, file);
  auto module = torch::jit::load(file);
  const dnc::Predictor predictor(file);
  const auto images = dnc::images_of(network, 1);  // channels-last: as pixels lie
  const std::vector<dnc::ImagePixels> pixels{
      {images.const_data_ptr<uint8_t>(), network.height, network.width}};
  const dnc::Predictor::Ask ask{.top_k = 1, .transforms = false};

  torch::Tensor scores;
  std::vector<dnc::Prediction> predictions;
  const auto bare = [&] {
    const c10::InferenceMode no_gradients;
    scores = module.forward({images}).toTensor();
  };
  const auto asked = [&] { predictions = predictor.predict(pixels, ask); };
  for (int i = 0; i < 10; ++i) {  // TorchScript compiles at its first calls
    bare();
    asked();
  }
  std::vector<double> bare_times, asked_times;
  for (int i = 0; i < rounds; ++i) {
    bare_times.push_back(seconds_of(bare));
    asked_times.push_back(seconds_of(asked));
  }
  // By the probability alone: random weights leave classes that differ by rounding.
  const auto probabilities = scores.softmax(1)[0];
  const auto& best = predictions.front().classes.front();
  const auto off = [&](const torch::Tensor& value) {
    return std::abs(best.score - value.item<float>());
  };
  const bool equal = off(probabilities[best.label]) < 1e-6F && off(probabilities.max()) < 1e-6F;
  const double a = median(bare_times), b = median(asked_times);
  std::cout << fmt::format("{:<14} {:>12.3f} {:>12.3f} {:>+9.1f} %  {}\n", network.name, a * 1000,
                           b * 1000, (b / a - 1) * 100, equal ? "equal" : "DIFFERENT");
  return equal;
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  dnc::set_threads();
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
  const auto file = fs::temp_directory_path() / fmt::format("bench_predictor_{}.pt", getpid());
  std::cout << fmt::format("{:<14} {:>12} {:>12} {:>11}  {}\n", "network", "forward, ms",
                           "Predictor", "more", "results");
  bool equal = true;
  std::vector<dnc::Network> networks{
      dnc::image_network("resnet8, 32x32", "{type: ResNetCifar, depth: 8}", 32, 1)};
  networks.insert(networks.end(), std::begin(dnc::kImageNetworks), std::end(dnc::kImageNetworks));
  for (const auto& network : networks) equal = compare(network, file, rounds) && equal;
  fs::remove(file);
  return equal ? 0 : 1;
}
