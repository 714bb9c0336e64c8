// The loader: an epoch of Fashion-MNIST with random crop and flip in batches of 128, by the number
// of worker threads. loader_peer.py runs this program beside torchvision and PyTorch's DataLoader.
//
// Counters: `items_per_second` are samples; `mean` of the pixels and `labels` (their sum) over an
// epoch, to compare results.

#include "host/data/loader.h"

#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "plugins/datasets/idx/dataset.h"
#include "plugins/transforms/geometry/random_crop.h"
#include "plugins/transforms/geometry/random_flip.h"

namespace {

std::unique_ptr<dnc::Loader> make_loader(int64_t workers) {
  static const auto data = std::make_shared<dnc::FashionMnist>(dnc::FashionMnist::Options());
  dnc::RandomCrop::Options crop;
  crop.size = {28};
  crop.padding = {4};
  dnc::LoaderOptions options;
  options.batch_size = 128;
  options.workers = workers;
  options.prefetch = 4;
  options.shuffle = true;
  return std::make_unique<dnc::Loader>(
      data,
      std::vector<std::shared_ptr<const dnc::Transform>>{
          std::make_shared<dnc::RandomCrop>(crop),
          std::make_shared<dnc::RandomFlip>(dnc::RandomFlip::Options())},
      options);
}

void check(dnc::Loader& loader, benchmark::State& state) {
  double pixels = 0;
  int64_t labels = 0;
  int64_t samples = 0;
  loader.start(0);
  while (const auto batch = loader.next()) {
    pixels += batch->images.to(torch::kFloat64).mean().item<double>() *
              static_cast<double>(batch->size());
    labels += batch->labels.sum().item<int64_t>();
    samples += batch->size();
  }
  state.counters["mean"] = pixels / static_cast<double>(samples);
  state.counters["labels"] = static_cast<double>(labels);
}

void epoch(benchmark::State& state) {
  if (!std::filesystem::exists(dnc::FashionMnist::Options().root.value)) {
    state.SkipWithError("Fashion-MNIST is missing: apt-get install dataset-fashion-mnist");
    return;
  }
  const auto loader = make_loader(state.range(0));
  check(*loader, state);
  int64_t number = 0;
  for (auto _ : state) {
    loader->start(++number);
    while (auto batch = loader->next()) benchmark::DoNotOptimize(*batch);
  }
  state.SetItemsProcessed(number * loader->dataset().size());
}

BENCHMARK(epoch)
    ->ArgName("workers")
    ->DenseRange(0, 2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
