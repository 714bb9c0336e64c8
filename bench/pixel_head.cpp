// The DNC head on pixels: forward (the scores of all pixels), assignment (of labelled pixels to the
// sub-centroids of their class) and update, by (N, D, C, K), where the N pixels are 8 square maps.
// pixel_head_peer.py runs this program beside PyTorch heads of the same maths and compares both.
//
// Counters: `scores`, their mean square, and `moved`, the norm of what the sub-centroids moved by,
// after one step, to compare results; `mib`, by how much the process's memory grew at most in it,
// or on a GPU (DNC_BENCH_DEVICE) that of tensors there. An iteration then has several steps
// (bench/device.h).

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <cmath>
#include <fstream>
#include <memory>
#include <string>

#include "bench/network.h"
#include "plugins/heads/dnc/dnc_head.h"

namespace {

constexpr int64_t kImages = 8;

/// A line of /proc/self/status such as VmRSS, in MiB.
double status(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::stod(line.substr(name.size() + 1)) / 1024;
  }
  return 0;
}

struct Bench {
  Bench(int64_t N, int64_t D, int64_t C, int64_t K, const dnc::DncHead::Options& base = {})
      : device(dnc::bench_device()) {
    const auto side = std::llround(std::sqrt(static_cast<double>(N / kImages)));
    x = dnc::values(1, {kImages, D, side, side}).to(device);
    // Some of them below 0: ignored.
    labels = dnc::values(2, {kImages, side, side})
                 .add(0.95)
                 .mul(C / 2.)
                 .floor()
                 .to(torch::kLong)
                 .clamp(-1, C - 1)
                 .to(device);
    dnc::Context context;
    context.classes.names.resize(C);
    context.channels = D;
    auto options = base;
    options.sub_centroids = K;
    head = std::make_shared<dnc::DncHead>(options, context);
    start = dnc::values(3, {C, K, D});
    start /= start.norm(2, -1, /*keepdim=*/true);
    start = start.to(device);
    head->to(device);
    head->named_buffers()["prototypes"].copy_(start);
  }

  torch::Tensor forward() {
    const torch::NoGradGuard no_grad;
    return head->forward(x);
  }

  void update() { head->update({x, {}, labels, 0}, alone); }

  /// The steps of an iteration, until the device has done them.
  template <typename Step>
  void repeat(const Step& step) {
    for (int64_t i = 0; i < dnc::steps_of_iteration(device); ++i) step();
    if (device.is_cuda()) head->prototypes().sum().item<double>();
  }

  torch::Device device;
  torch::Tensor x, labels, start;
  std::shared_ptr<dnc::DncHead> head;
  dnc::SingleProcess alone;
};

Bench bench_of(const benchmark::State& state, const dnc::DncHead::Options& options = {}) {
  return {state.range(0), state.range(1), state.range(2), state.range(3), options};
}

/// What one step needs over what was there before it, in a process that has run a small one.
void measure(benchmark::State& state, Bench& bench) {
  Bench small(kImages * 16, 16, 20, 4);
  small.forward();
  small.update();
  const double before = status("VmRSS");
  std::ofstream("/proc/self/clear_refs") << 5;  // VmHWM begins anew
  const auto memory = std::make_shared<dnc::Memory>(bench.device);
  torch::Tensor scores;
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, memory);
    scores = bench.forward();
    bench.update();
  }
  state.counters["mib"] = bench.device.is_cuda() ? static_cast<double>(memory->peak) / (1 << 20)
                                                 : status("VmHWM") - before;
  state.counters["scores"] = scores.square().mean().item<double>();
  state.counters["moved"] = (bench.head->prototypes() - bench.start).norm().item<double>();
}

void all(benchmark::State& state) {
  auto bench = bench_of(state);
  measure(state, bench);
  for (auto _ : state) {
    bench.repeat([&] {
      const auto scores = bench.forward();
      bench.update();
    });
  }
}

void update(benchmark::State& state) {
  auto bench = bench_of(state);
  for (auto _ : state) bench.repeat([&] { bench.update(); });
}

/// As `update`, with 100 pixels of each class.
void sampled_update(benchmark::State& state) {
  dnc::DncHead::Options options;
  options.samples_per_class = 100;
  auto bench = bench_of(state, options);
  for (auto _ : state) bench.repeat([&] { bench.update(); });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"N", "D", "C", "K"})
      ->Args({131072, 64, 150, 10})
      ->Args({131072, 256, 150, 10})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

BENCHMARK(all)->Apply(sizes);
BENCHMARK(update)->Apply(sizes);
BENCHMARK(sampled_update)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
