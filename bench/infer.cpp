// Inference: images [N, 3, 224, 224] in bytes to scores, for one image and for 32. infer_peer.py
// runs this program beside PyTorch with the same weights and images.
//
// Counters: `first` and `last`, a score of the first and of the last image, to compare results.

#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <memory>
#include <string>

#include "bench/network.h"
#include "host/environment.h"
#include "host/train/autocast.h"

namespace {

void infer(benchmark::State& state, const dnc::Network& network, dnc::Precision precision) {
  dnc::Experiment experiment(
      dnc::program().registry(), dnc::program().images(),
      dnc::parse_config(dnc::config_of(network, "Linear", "float32"), "bench"));
  const auto model = experiment.build_model();
  dnc::load_peer_weights(network.name, *model);
  model->to_channels_last();
  model->eval();
  const auto images = dnc::images_of(network, state.range(0));
  const torch::InferenceMode inference;
  const dnc::Autocast autocast(precision, torch::kCPU);
  const auto scores = model->forward(images).scores.to(torch::kFloat32);
  state.counters["first"] = scores[0][0].item<double>();
  state.counters["last"] = scores[-1][-1].item<double>();
  for (auto _ : state) benchmark::DoNotOptimize(model->forward(images).scores);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  dnc::set_threads();
  for (const auto& network : dnc::kImageNetworks) {
    for (const bool half : {false, true}) {
      const auto name = network.name + (half ? "/bfloat16" : "/float32");
      const auto precision = half ? dnc::Precision::kBFloat16 : dnc::Precision::kFloat32;
      benchmark::RegisterBenchmark(name.c_str(), infer, network, precision)
          ->Arg(1)
          ->Arg(32)
          ->Unit(benchmark::kMillisecond)
          ->UseRealTime();
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
