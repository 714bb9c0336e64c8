// A step of training: forward, cross-entropy, backward, SGD with momentum, and the head's update, on
// one batch of 128 that stays the same. step_peer.py runs this program beside PyTorch eager with the
// same weights, images and recipe.
//
// Counters: `loss_0` and `loss_2`, of the first and the third step, to compare results.

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "host/environment.h"
#include "host/program.h"
#include "host/train/step.h"
#include "registry/communicator.h"
#include "registry/config.h"

namespace {

constexpr int64_t kBatch = 128;

// Values in [-1, 1), as in step_peer.py.
torch::Tensor values(int64_t seed, torch::IntArrayRef shape) {
  auto h = torch::arange(c10::multiply_integers(shape), torch::kInt64) + seed * 1000003;
  for (int i = 0; i < 2; ++i) h = (h.bitwise_xor(h.bitwise_right_shift(16)) * 0x45D9F3B) & 0xFFFFFFFF;
  h = h.bitwise_xor(h.bitwise_right_shift(16)).bitwise_right_shift(8);
  return (h.to(torch::kFloat32) * 0x1.0p-23 - 1).view(shape);
}

void fill(torch::nn::Module& model) {
  const torch::NoGradGuard no_grad;
  int64_t seed = 1;
  for (auto& parameter : model.parameters()) {
    if (parameter.dim() > 1) {
      const auto fan_in = static_cast<double>(parameter.numel() / parameter.size(0));
      parameter.copy_(values(seed, parameter.sizes()) * std::sqrt(6.0 / fan_in));
    }
    ++seed;
  }
}

std::string config(const std::string& backbone, const std::string& head, int64_t size) {
  const auto data = "{type: Synthetic, length: 128, size: " + std::to_string(size) + "}";
  return "device: cpu\nmodel: {backbone: " + backbone +
         ", decode_head: GlobalAveragePooling, head: " + head + "}\ndata: {train: {dataset: " + data +
         "}, batch_size: 128}\noptimizer: {type: SGD, lr: 0.01, momentum: 0.9, weight_decay: 1e-4}\n"
         "train: {steps: 1000000}\n";
}

struct Training {
  Training(const std::string& text, int64_t size)
      : experiment(program().registry(), program().images(), dnc::parse_config(text, "bench")),
        model(experiment.build_model()) {
    model->to_channels_last();
    fill(*model);
    step = std::make_unique<dnc::TrainStep>(experiment, model, torch::kCPU, alone);
    model->train();
    batch.images = ((values(0, {kBatch, 3, size, size}) + 1) * 127.5)
                       .to(torch::kUInt8)
                       .contiguous(torch::MemoryFormat::ChannelsLast);
    batch.labels = torch::arange(kBatch) % 10;
  }

  static dnc::Program& program() {
    static dnc::Program program;
    return program;
  }

  double run() { return step->run(batch, done++).front().second.item<double>(); }

  dnc::Experiment experiment;
  std::shared_ptr<dnc::Model> model;
  dnc::SingleProcess alone;
  std::unique_ptr<dnc::TrainStep> step;
  dnc::Batch batch;
  int64_t done = 0;
};

void train(benchmark::State& state, const std::string& backbone, const std::string& head,
           int64_t size) {
  Training training(config(backbone, head, size), size);
  state.counters["loss_0"] = training.run();
  training.run();
  state.counters["loss_2"] = training.run();
  for (auto _ : state) benchmark::DoNotOptimize(training.run());
  state.SetItemsProcessed(state.iterations() * kBatch);
}

const std::string kSmall = "{type: ResNetCifar, depth: 20}";
const std::string kLarge = "{type: ResNet_CIFAR, depth: 18}";

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  const char* threads = std::getenv("OMP_NUM_THREADS");
  if (threads) at::set_num_threads(std::atoi(threads));
  const auto add = [](const char* name, const std::string& backbone, const std::string& head,
                      int64_t size) {
    benchmark::RegisterBenchmark(name, train, backbone, head, size)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  };
  add("resnet20_28/Linear", kSmall, "Linear", 28);
  add("resnet20_28/DNC", kSmall, "DNC", 28);
  add("resnet18_32/Linear", kLarge, "Linear", 32);
  add("resnet18_32/DNC", kLarge, "DNC", 32);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
