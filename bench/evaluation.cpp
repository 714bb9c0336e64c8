// Evaluation of segmentation: scores [1, 150, 128, 128] of a few images, resized to labels of 512 x
// 512, and their confusion matrix, by the layout of the scores. evaluation_peer.py runs this
// program beside mmsegmentation's way.
//
//   bench_evaluation --counts planes    or `pixels`: for each class its pixels that were right,
//                                       that were given to it, and that have its label

#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "bench/network.h"
#include "host/components/pixel_metrics.h"
#include "host/environment.h"
#include "host/inference.h"
#include "registry/head.h"

namespace {

constexpr int64_t kImages = 4;
constexpr int64_t kClasses = 150;

struct Evaluation {
  explicit Evaluation(const std::string& layout) : metric({}, context()) {
    const auto format =
        layout == "pixels" ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
    for (int64_t i = 0; i < kImages; ++i) {
      scores.push_back(dnc::values(2 * i, {1, kClasses, 128, 128}).contiguous(format));
      labels.push_back(dnc::pixel_labels(2 * i + 1, {1, 512, 512}, kClasses));
    }
  }

  static dnc::Context context() {
    dnc::Context context;
    context.classes.names.resize(kClasses);
    return context;
  }

  void run() {
    metric.reset();
    for (size_t i = 0; i < scores.size(); ++i) {
      const auto size = dnc::label_size(labels[i]);
      metric.update(dnc::resize_scores(scores[i], *size), labels[i]);
    }
  }

  std::vector<torch::Tensor> scores, labels;
  dnc::MeanIoU metric;
};

void evaluate(benchmark::State& state, const std::string& layout) {
  const torch::InferenceMode inference;
  Evaluation evaluation(layout);
  for (auto _ : state) evaluation.run();
  state.SetItemsProcessed(state.iterations() * kImages);
}

int print_counts(const std::string& layout) {
  Evaluation evaluation(layout);
  evaluation.run();
  const auto counts = evaluation.metric.counts().front();
  const auto right = counts.diagonal();
  const auto given = counts.sum(0);
  const auto labels = counts.sum(1);
  for (int64_t c = 0; c < kClasses; ++c) {
    std::printf("%ld %ld %ld\n", right[c].item<int64_t>(), given[c].item<int64_t>(),
                labels[c].item<int64_t>());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  dnc::set_threads();
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--counts") return print_counts(arguments[1]);
  for (const auto* layout : {"planes", "pixels"}) {
    benchmark::RegisterBenchmark(layout, evaluate, layout)
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
