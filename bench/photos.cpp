// The loader on photographs: RandomResizedCrop 224, flip, normalise, in batches of 64, by the
// number of worker threads and the way of decoding; and decoding alone beside bare libjpeg-turbo on
// the same crops. photos_peer.py runs this program beside torchvision and DALI.
//
//   DNC_BENCH_PHOTOS=FOLDER bench_photos                     a folder with one of JPEG files for
//   each class DNC_BENCH_PHOTOS=FOLDER bench_photos --samples exact     or `reduced`: the first
//   batch of epoch 0
//
// `--samples` prints a line `top left height width flipped label` for each image, and behind it the
// floats [224, 224, 3], to compare with other decoders.

// jpeglib.h needs FILE.
// clang-format off
#include <cstdio>
#include <jpeglib.h>
// clang-format on
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "host/data/image_decoder.h"
#include "host/data/loader.h"
#include "host/environment.h"
#include "plugins/datasets/image_folder/dataset.h"
#include "plugins/transforms/geometry/random_flip.h"
#include "plugins/transforms/geometry/random_resized_crop.h"
#include "plugins/transforms/pixels/normalize.h"
#include "registry/random.h"

namespace {

constexpr int64_t kSize = 224;
constexpr uint64_t kSeed = 0;

std::shared_ptr<const dnc::ImageFolder> photos() {
  static const auto data = [] {
    // torchvision takes the pixels as they are stored.
    static const dnc::ImageDecoder decoder([] {
      dnc::ImageDecoder::Options options;
      options.orientation = false;
      return options;
    }());
    dnc::Context context;
    context.images = &decoder;
    dnc::ImageFolder::Options options;
    options.root.value = std::getenv("DNC_BENCH_PHOTOS");
    return std::make_shared<const dnc::ImageFolder>(options, context);
  }();
  return data;
}

dnc::RandomResizedCrop make_crop(dnc::Decoding decoding) {
  dnc::RandomResizedCrop::Options options;
  options.size = {kSize};
  options.decoding = decoding;
  return dnc::RandomResizedCrop(options);
}

std::unique_ptr<dnc::Loader> make_loader(int64_t workers, dnc::Decoding decoding, bool shuffle) {
  dnc::Normalize::Options normalize;
  normalize.mean = {0.485, 0.456, 0.406};
  normalize.std = {0.229, 0.224, 0.225};
  normalize.white = 1;
  dnc::LoaderOptions options;
  options.batch_size = 64;
  options.workers = workers;
  options.prefetch = 4;
  options.shuffle = shuffle;
  options.seed = kSeed;
  return std::make_unique<dnc::Loader>(
      photos(),
      std::vector<std::shared_ptr<const dnc::Transform>>{
          std::make_shared<dnc::RandomResizedCrop>(make_crop(decoding)),
          std::make_shared<dnc::RandomFlip>(dnc::RandomFlip::Options()),
          std::make_shared<dnc::Normalize>(normalize)},
      options);
}

// The numbers that the loader draws for a sample.
dnc::Random draw(int64_t epoch, int64_t index) {
  return dnc::Random(kSeed, dnc::Purpose::kAugment, static_cast<uint64_t>(epoch),
                     static_cast<uint64_t>(index));
}

void load(benchmark::State& state) {
  const auto decoding = state.range(1) == 0 ? dnc::Decoding::kExact : dnc::Decoding::kReduced;
  const auto loader = make_loader(state.range(0), decoding, true);
  int64_t epoch = 0;
  int64_t images = 0;
  for (auto _ : state) {
    loader->start(++epoch);
    while (const auto batch = loader->next()) images += batch->size();
  }
  state.SetItemsProcessed(images);
  state.counters["images"] = static_cast<double>(images) / static_cast<double>(epoch);
}

// What no loader can do without: the file, and the crop through libjpeg-turbo.
class BareDecoder {
 public:
  BareDecoder() {
    info_.err = jpeg_std_error(&errors_);
    jpeg_create_decompress(&info_);
  }
  ~BareDecoder() { jpeg_destroy_decompress(&info_); }
  BareDecoder(const BareDecoder&) = delete;
  BareDecoder& operator=(const BareDecoder&) = delete;

  void decode(const std::string& path, const dnc::RandomResizedCrop& crop, dnc::Random random) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    bytes_.resize(static_cast<size_t>(file.tellg()));
    file.seekg(0).read(reinterpret_cast<char*>(bytes_.data()), std::ssize(bytes_));
    jpeg_mem_src(&info_, bytes_.data(), bytes_.size());
    jpeg_read_header(&info_, TRUE);
    const dnc::Box box = crop.choose(info_.image_height, info_.image_width, random);
    info_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info_);
    auto left = static_cast<JDIMENSION>(box.left);
    auto width = static_cast<JDIMENSION>(box.width);
    jpeg_crop_scanline(&info_, &left, &width);
    if (box.top > 0) jpeg_skip_scanlines(&info_, static_cast<JDIMENSION>(box.top));
    pixels_.resize(static_cast<size_t>(width * box.height * 3));
    for (int64_t y = 0; y < box.height; ++y) {
      JSAMPLE* row = pixels_.data() + y * width * 3;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    jpeg_abort_decompress(&info_);
    benchmark::DoNotOptimize(pixels_.data());
  }

 private:
  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  std::vector<JSAMPLE> bytes_;
  std::vector<JSAMPLE> pixels_;
};

template <typename F>
void decode_all(benchmark::State& state, F decode) {
  const auto data = photos();
  int64_t epoch = 0;
  for (auto _ : state) {
    ++epoch;
    for (int64_t i = 0; i < data->size(); ++i) decode(i, draw(epoch, i));
  }
  state.SetItemsProcessed(epoch * data->size());
}

void decode_bare(benchmark::State& state) {
  BareDecoder decoder;
  const auto crop = make_crop(dnc::Decoding::kExact);
  decode_all(state, [&](int64_t i, const dnc::Random& random) {
    decoder.decode(photos()->name(i), crop, random);
  });
}

void decode_ours(benchmark::State& state) {
  const auto crop = make_crop(dnc::Decoding::kExact);
  decode_all(state, [&](int64_t i, dnc::Random random) {
    const auto image = photos()->load(i).image;
    const auto part = image.crop(crop.choose(image.height(), image.width(), random));
    benchmark::DoNotOptimize(part.pixels());
  });
}

int print_samples(dnc::Decoding decoding) {
  const auto loader = make_loader(0, decoding, false);
  const auto crop = make_crop(decoding);
  loader->start(0);
  const auto batch = loader->next();
  const auto images = batch->images.permute({0, 2, 3, 1}).contiguous();
  for (int64_t i = 0; i < batch->size(); ++i) {
    const int64_t index = batch->indices[static_cast<size_t>(i)];
    const auto file = photos()->load(index).image;
    auto random = draw(0, index);
    const dnc::Box box = crop.choose(file.height(), file.width(), random);
    const int flipped = random.chance(0.5) ? 1 : 0;
    std::printf("%ld %ld %ld %ld %d %ld\n", box.top, box.left, box.height, box.width, flipped,
                batch->labels[i].item<int64_t>());
    std::fwrite(images[i].const_data_ptr<float>(), sizeof(float), kSize * kSize * 3, stdout);
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

BENCHMARK(decode_bare)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(decode_ours)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(load)
    ->ArgNames({"workers", "reduced"})
    ->ArgsProduct({{0, 2}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

int main(int argc, char** argv) {
  dnc::keep_freed_memory();  // as dnc-host does
  if (!std::getenv("DNC_BENCH_PHOTOS")) {
    std::fputs("DNC_BENCH_PHOTOS is not set: a folder with one of JPEG files for each class\n",
               stderr);
    return 2;
  }
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "--samples") {
    return print_samples(arguments[1] == "reduced" ? dnc::Decoding::kReduced
                                                   : dnc::Decoding::kExact);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
