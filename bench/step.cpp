// A step of training: forward, losses, backward, SGD with momentum, and the head's update, on one
// batch that stays the same. step_peer.py runs this program beside PyTorch with the same weights,
// images and recipe. On a GPU (DNC_BENCH_DEVICE) an iteration has several steps (bench/device.h).
//
// Counters: `loss_0` and `loss_2`, of the first and the third step, to compare results.

#include "host/train/step.h"

#include <ATen/Context.h>
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <memory>
#include <string>

#include "bench/network.h"
#include "host/environment.h"
#include "registry/communicator.h"

namespace {

// Where the peer gave no weights.
void fill(torch::nn::Module& model) {
  const torch::NoGradGuard no_grad;
  int64_t seed = 1;
  for (auto& parameter : model.parameters()) {
    if (parameter.dim() > 1) {
      const auto fan_in = static_cast<double>(parameter.numel() / parameter.size(0));
      parameter.copy_(dnc::values(seed, parameter.sizes()) * std::sqrt(6.0 / fan_in));
    }
    ++seed;
  }
}

struct Training {
  Training(const dnc::Network& network, const std::string& head, const std::string& precision)
      : device(dnc::bench_device()),
        experiment(dnc::program().registry(), dnc::program().images(),
                   dnc::parse_config(dnc::config_of(network, head, precision), "bench")),
        model(experiment.build_model()) {
    model->to_channels_last();
    if (head != "Linear" || !dnc::load_peer_weights(network.name, *model)) fill(*model);
    model->to(device);
    step = std::make_unique<dnc::TrainStep>(experiment, model, device, alone);
    model->train();
    batch.images = dnc::images_of(network, network.batch).to(device);
    batch.labels = dnc::labels_of(network).to(device);
  }

  double run(int64_t steps = 1) {
    torch::Tensor loss;
    for (int64_t i = 0; i < steps; ++i) loss = step->run(batch, done++).front().second;
    return loss.item<double>();
  }

  torch::Device device;
  dnc::Experiment experiment;
  std::shared_ptr<dnc::Model> model;
  dnc::SingleProcess alone;
  std::unique_ptr<dnc::TrainStep> step;
  dnc::Batch batch;
  int64_t done = 0;
};

void train(benchmark::State& state, const dnc::Network& network, const std::string& head,
           const std::string& precision) {
  Training training(network, head, precision);
  state.counters["loss_0"] = training.run();
  training.run();
  state.counters["loss_2"] = training.run();
  const int64_t steps = dnc::steps_of_iteration(training.device);
  for (auto _ : state) benchmark::DoNotOptimize(training.run(steps));
  state.SetItemsProcessed(state.iterations() * steps * network.batch);
}

void add(const dnc::Network& network, const std::string& head, const std::string& precision,
         const std::string& what) {
  benchmark::RegisterBenchmark((network.name + "/" + what).c_str(), train, network, head, precision)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  dnc::set_threads();
  at::globalContext().setBenchmarkCuDNN(true);  // as dnc-host and the peer do
  for (const auto* head : {"Linear", "DNC"}) {
    const auto small = dnc::image_network("resnet20_28", "{type: ResNetCifar, depth: 20}", 28, 128);
    const auto large =
        dnc::image_network("resnet18_32", "{type: ResNet_CIFAR, depth: 18}", 32, 128);
    for (const auto& network : {small, large}) add(network, head, "float32", head);
  }
  for (const auto& network : dnc::kImageNetworks) {
    for (const auto* precision : {"float32", "bfloat16"}) {
      add(network, "Linear", precision, precision);
    }
    add(network, "DNC", "bfloat16", "DNC");
  }
  for (const auto& network : dnc::kPixelNetworks) {
    add(network, "Linear", "float32", "Linear");
    add(network, "{type: DNC, sub_centroids: 10, ppc: 0.01, ppd: 0.001}", "float32", "DNC");
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
