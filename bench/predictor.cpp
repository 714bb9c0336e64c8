// One image through a model, through the module that `dnc-host export` makes of it, and through
// dnc::Predictor with that module: what export and the library cost. They take turns, so that a
// busy machine slows all alike, and their probabilities must be equal.
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

/// The network with random weights, also as a file of `dnc-host export`.
std::shared_ptr<dnc::Model> write_exported(const dnc::Network& network, const fs::path& file) {
  const auto config = dnc::parse_config(dnc::config_of(network, "Linear", "float32"), "bench");
  dnc::Experiment experiment(dnc::program().registry(), dnc::program().images(), config);
  auto model = experiment.build_model();
  model->to_channels_last();
  dnc::ExportInfo info;
  info.classes = experiment.classes();
  info.preprocess = experiment.options().model.preprocess;
  info.config = dnc::to_yaml(experiment.resolved());
  info.size = {network.height, network.width};
  const auto exported = dnc::to_torch_script(*model, info);
  dnc::write_torch_script(exported.module, *model, info, file);
  model->eval();
  return model;
}

/// Whether both say the same.
bool compare(const dnc::Network& network, const fs::path& file, int rounds) {
  const auto model = write_exported(network, file);
  auto module = torch::jit::load(file);
  const dnc::Predictor predictor(file);
  const auto images = dnc::images_of(network, 1);  // channels-last: as pixels lie
  const std::vector<dnc::ImagePixels> pixels{
      {images.const_data_ptr<uint8_t>(), network.height, network.width}};
  const dnc::Predictor::Ask ask{.top_k = 1, .transforms = false};

  torch::Tensor scores, own_scores;
  std::vector<dnc::Prediction> predictions;
  const auto own = [&] {
    const c10::InferenceMode no_gradients;
    own_scores = model->forward(images).scores;
  };
  const auto bare = [&] {
    const c10::InferenceMode no_gradients;
    scores = module.forward({images}).toTensor();
  };
  const auto asked = [&] { predictions = predictor.predict(pixels, ask); };
  for (int i = 0; i < 10; ++i) {  // TorchScript compiles at its first calls
    own();
    bare();
    asked();
  }
  std::vector<double> own_times, bare_times, asked_times;
  for (int i = 0; i < rounds; ++i) {
    own_times.push_back(seconds_of(own));
    bare_times.push_back(seconds_of(bare));
    asked_times.push_back(seconds_of(asked));
  }
  // By the probability alone: random weights leave classes that differ by rounding.
  const auto& best = predictions.front().classes.front();
  bool equal = true;
  for (const auto& each : {own_scores, scores}) {
    const auto probabilities = each.softmax(1)[0];
    for (const auto& value : {probabilities[best.label], probabilities.max()}) {
      equal = equal && std::abs(best.score - value.item<float>()) < 1e-5F;
    }
  }
  const double model_time = median(own_times), a = median(bare_times), b = median(asked_times);
  std::cout << fmt::format("{:<14} {:>9.3f} {:>9.3f} {:>+7.1f} % {:>9.3f} {:>+7.1f} %  {}\n",
                           network.name, model_time * 1000, a * 1000, (a / model_time - 1) * 100,
                           b * 1000, (b / a - 1) * 100, equal ? "equal" : "DIFFERENT");
  return equal;
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  dnc::set_threads();
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 100;
  const auto file = fs::temp_directory_path() / fmt::format("bench_predictor_{}.pt", getpid());
  std::cout << fmt::format("{:<14} {:>9} {:>9} {:>9} {:>9} {:>9}  {}\n", "ms", "model", "exported",
                           "", "Predictor", "", "results");
  bool equal = true;
  std::vector<dnc::Network> networks{
      dnc::image_network("resnet8, 32x32", "{type: ResNetCifar, depth: 8}", 32, 1)};
  networks.insert(networks.end(), std::begin(dnc::kImageNetworks), std::end(dnc::kImageNetworks));
  for (const auto& network : networks) equal = compare(network, file, rounds) && equal;
  fs::remove(file);
  return equal ? 0 : 1;
}
