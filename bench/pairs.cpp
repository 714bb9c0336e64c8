// The loader on pairs of an image and a label image, CamVid's: random resize, crop, flip and
// photometric distortion, in batches of 8 at 360 x 480, by the number of worker threads.
// pairs_peer.py runs this program beside torchvision's transforms v2.
//
//   DNC_BENCH_CAMVID=FOLDER bench_pairs             as dataset type CamVid has it
//   DNC_BENCH_CAMVID=FOLDER bench_pairs --samples   the first batch, resized and cropped at the
//                                                   centre
//
// `--samples` prints bytes [8, 200, 300, 3] and labels, int64 [8, 200, 300], to compare with
// Pillow's. Counters: pairs of an epoch, the lowest and the highest label.

#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "host/data/image_decoder.h"
#include "host/data/loader.h"
#include "host/environment.h"
#include "plugins/datasets/segmentation/presets.h"
#include "plugins/transforms/geometry/center_crop.h"
#include "plugins/transforms/geometry/random_crop.h"
#include "plugins/transforms/geometry/random_flip.h"
#include "plugins/transforms/geometry/resize.h"
#include "plugins/transforms/segmentation/photometric_distortion.h"
#include "plugins/transforms/segmentation/random_resize.h"

namespace {

using Transforms = std::vector<std::shared_ptr<const dnc::Transform>>;

std::shared_ptr<const dnc::Dataset> camvid() {
  static const dnc::ImageDecoder decoder{dnc::ImageDecoder::Options()};
  dnc::Context context;
  context.images = &decoder;
  dnc::CamVid::Options options;
  options.root.value = std::getenv("DNC_BENCH_CAMVID");
  return std::make_shared<const dnc::CamVid>(options, context);
}

Transforms random_transforms() {
  dnc::RandomResize::Options resize;
  resize.scale = {480, 360};
  dnc::RandomCrop::Options crop;
  crop.size = {360, 480};
  crop.pad_if_needed = true;
  return {std::make_shared<dnc::RandomResize>(resize), std::make_shared<dnc::RandomCrop>(crop),
          std::make_shared<dnc::RandomFlip>(dnc::RandomFlip::Options()),
          std::make_shared<dnc::PhotometricDistortion>(dnc::PhotometricDistortion::Options())};
}

Transforms fixed_transforms() {
  dnc::Resize::Options resize;
  resize.size = {240, 320};
  dnc::CenterCrop::Options crop;
  crop.size = {200, 300};
  return {std::make_shared<dnc::Resize>(resize), std::make_shared<dnc::CenterCrop>(crop)};
}

std::unique_ptr<dnc::Loader> make_loader(int64_t workers, const Transforms& transforms,
                                         bool shuffle) {
  dnc::LoaderOptions options;
  options.batch_size = 8;
  options.workers = workers;
  options.prefetch = 4;
  options.shuffle = shuffle;
  return std::make_unique<dnc::Loader>(camvid(), transforms, options);
}

void check(dnc::Loader& loader, benchmark::State& state) {
  int64_t pairs = 0, lowest = 0, highest = 0;
  loader.start(0);
  while (const auto batch = loader.next()) {
    const auto& labels = batch->labels;
    if (batch->images.sizes().slice(1) != at::IntArrayRef({3, 360, 480}) ||
        labels.sizes().slice(1) != at::IntArrayRef({360, 480})) {
      state.SkipWithError("a batch of another size");
      return;
    }
    pairs += batch->size();
    lowest = std::min(lowest, labels.min().item<int64_t>());
    highest = std::max(highest, labels.max().item<int64_t>());
  }
  state.counters["pairs"] = static_cast<double>(pairs);
  state.counters["lowest"] = static_cast<double>(lowest);
  state.counters["highest"] = static_cast<double>(highest);
}

void load(benchmark::State& state) {
  const auto loader = make_loader(state.range(0), random_transforms(), /*shuffle=*/true);
  check(*loader, state);
  int64_t epoch = 0;
  for (auto _ : state) {
    loader->start(++epoch);
    while (auto batch = loader->next()) benchmark::DoNotOptimize(*batch);
  }
  state.SetItemsProcessed(epoch * loader->dataset().size());
}

int print_samples() {
  const auto loader = make_loader(0, fixed_transforms(), /*shuffle=*/false);
  loader->start(0);
  const auto batch = loader->next();
  const auto images = batch->images.permute({0, 2, 3, 1}).contiguous();
  const auto labels = batch->labels.contiguous();
  std::fwrite(images.const_data_ptr(), 1, images.nbytes(), stdout);
  std::fwrite(labels.const_data_ptr(), 1, labels.nbytes(), stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

BENCHMARK(load)->Arg(0)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  if (!std::getenv("DNC_BENCH_CAMVID")) {
    std::fputs("DNC_BENCH_CAMVID is not set: the folder of CamVid, with train/images\n", stderr);
    return 2;
  }
  if (argc == 2 && std::string(argv[1]) == "--samples") return print_samples();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
