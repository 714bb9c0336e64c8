// The DNC head: forward, cross-entropy, gradient of the embeddings and update, by (N, D, C, K).
// head_peer.py runs this program beside PyTorch heads of the same maths and compares both.
//
// Counters: `loss`, `gradient` (norm) and `moved` (norm of what the sub-centroids moved by) after
// three steps from the same start, to compare results; `peak` is the memory of tensors at its peak,
// inputs aside, over the size of the head's buffers; `growth` in bytes over 20 steps. On a GPU
// (DNC_BENCH_DEVICE) an iteration has several steps (bench/device.h).

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <string>

#include "bench/device.h"
#include "plugins/heads/dnc/dnc_head.h"

namespace {

/// Values in [-1, 1) that head_peer.py computes alike.
torch::Tensor values(int64_t seed, at::IntArrayRef shape) {
  auto h = at::arange(c10::multiply_integers(shape), torch::kLong) + seed * 1000003;
  for (int round = 0; round < 2; ++round) {
    h = h.bitwise_xor(h.bitwise_right_shift(16)).mul(0x45d9f3b).bitwise_and(0xffffffff);
  }
  h = h.bitwise_xor(h.bitwise_right_shift(16)).bitwise_right_shift(8);
  return (h.to(torch::kFloat) * 0x1p-23 - 1).view(shape);
}

struct Bench {
  Bench(int64_t N, int64_t D, int64_t C, int64_t K)
      : device(dnc::bench_device()),
        x(values(1, {N, D}).to(device).requires_grad_()),
        labels(values(2, {N}).add(1).mul(C / 2.).to(torch::kLong).clamp_max(C - 1).to(device)) {
    dnc::Context context;
    context.classes.names.resize(C);
    context.channels = D;
    dnc::DncHead::Options options;
    options.sub_centroids = K;
    head = std::make_shared<dnc::DncHead>(options, context);
    start = values(3, {C, K, D});
    start /= start.norm(2, -1, /*keepdim=*/true);
    start = start.to(device);
    head->to(device);
    reset();
  }

  void reset() { head->named_buffers()["prototypes"].copy_(start); }

  torch::Tensor run() {
    x.mutable_grad() = torch::Tensor();
    const auto scores = head->forward(x);
    const auto loss = at::cross_entropy_loss(scores, labels);
    loss.backward();
    head->update({x.detach(), scores.detach(), labels, 0}, alone);
    return loss.detach();
  }

  double step(int64_t steps = 1) {
    torch::Tensor loss;
    for (int64_t i = 0; i < steps; ++i) loss = run();
    return loss.item<double>();
  }

  torch::Device device;
  torch::Tensor x, labels, start;
  std::shared_ptr<dnc::DncHead> head;
  dnc::SingleProcess alone;
};

void step(benchmark::State& state) {
  Bench bench(state.range(0), state.range(1), state.range(2), state.range(3));
  double loss = 0;
  for (int i = 0; i < 3; ++i) loss = bench.step();
  state.counters["loss"] = loss;
  state.counters["gradient"] = bench.x.grad().norm().item<double>();
  state.counters["moved"] = (bench.head->prototypes() - bench.start).norm().item<double>();

  const auto memory = std::make_shared<dnc::Memory>(bench.device);
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, memory);
    bench.step();
    const int64_t before = memory->now;
    for (int i = 0; i < 20; ++i) bench.step();
    state.counters["growth"] = static_cast<double>(memory->now - before);
  }
  int64_t buffers = 0;
  for (const auto& buffer : bench.head->buffers()) buffers += static_cast<int64_t>(buffer.nbytes());
  state.counters["peak"] =
      static_cast<double>(buffers + memory->peak) / static_cast<double>(buffers);

  const int64_t steps = dnc::steps_of_iteration(bench.device);
  for (auto _ : state) benchmark::DoNotOptimize(bench.step(steps));
}

void update(benchmark::State& state) {
  Bench bench(state.range(0), state.range(1), state.range(2), state.range(3));
  const auto scores = bench.head->forward(bench.x).detach();
  const dnc::HeadStep batch{bench.x.detach(), scores, bench.labels, 0};
  const int64_t steps = dnc::steps_of_iteration(bench.device);
  for (auto _ : state) {
    for (int64_t i = 0; i < steps; ++i) bench.head->update(batch, bench.alone);
    if (bench.device.is_cuda()) bench.head->prototypes().sum().item<double>();  // waits for it
  }
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"N", "D", "C", "K"})
      ->Args({256, 512, 10, 4})
      ->Args({256, 2048, 1000, 4})
      ->Args({1024, 768, 1000, 4})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime()
      ->ComputeStatistics("min", [](const std::vector<double>& times) {
        return *std::min_element(times.begin(), times.end());
      });
}

BENCHMARK(step)->Apply(sizes);
BENCHMARK(update)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
