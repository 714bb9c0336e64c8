#include "plugins/datasets/idx/dataset.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "plugins/datasets/common/files.h"
#include "plugins/datasets/idx/idx_file.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMnistAdvice =
    "set `root` to the folder with the four IDX files of MNIST (train-images-idx3-ubyte.gz, ...)";
constexpr const char* kFashionMnistAdvice =
    "install them with `apt-get install dataset-fashion-mnist`, or set `root` to the folder with "
    "the four IDX files of Fashion-MNIST (train-images-idx3-ubyte.gz, ...)";

// The first of the places and names under which a file goes; where there is none, the name of the
// compressed one in `root`, for the message.
fs::path find(const fs::path& root, const std::string& folder, const std::string& name) {
  for (const auto& place : {root, root / folder / "raw", root / "raw"}) {
    for (const auto* ending : {"", ".gz"}) {
      std::error_code ignored;
      if (fs::exists(place / (name + ending), ignored)) return place / (name + ending);
    }
  }
  return root / (name + ".gz");
}

Pictures read(const IdxDataset::Options& options, const std::string& folder,
              const std::string& advice) {
  check_class_names(options.classes, "classes");
  if (options.root.empty()) throw OptionError("root", std::string("is missing: ") + advice);
  const fs::path root(options.root.value);
  if (!fs::is_directory(root)) {
    throw DataError(fmt::format("{}: no such folder; {}", root.string(), advice));
  }
  const std::string part = options.split == DatasetSplit::kTrain ? "train" : "t10k";
  const auto image_file = find(root, folder, part + "-images-idx3-ubyte");
  const auto label_file = find(root, folder, part + "-labels-idx1-ubyte");
  auto images = read_idx(image_file, 3, advice);
  const auto labels = read_idx(label_file, 1, advice);
  if (labels.shape[0] != images.shape[0]) {
    throw DataError(fmt::format("{}: {} labels, but {} has {} images; are they of one data set?",
                                label_file.string(), labels.shape[0], image_file.string(),
                                images.shape[0]));
  }
  const auto classes = static_cast<int64_t>(options.classes.size());
  for (size_t i = 0; i < labels.values.size(); ++i) {
    if (labels.values[i] < classes) continue;
    throw DataError(
        fmt::format("{}: label {} of image #{} is beyond the {} classes (0 to {}); "
                    "name all classes in `classes`",
                    label_file.string(), labels.values[i], i, classes, classes - 1));
  }
  Pictures pictures;
  pictures.height = images.shape[1];
  pictures.width = images.shape[2];
  pictures.channels = 1;
  pictures.pixels = std::move(images.values);
  pictures.labels.assign(labels.values.begin(), labels.values.end());
  pictures.files = {{image_file.filename().string(), images.shape[0]}};
  pictures.classes.names = options.classes;
  return pictures;
}

}  // namespace

void IdxDataset::Options::common_fields(Fields& f) {
  split_field(f, split);
  f("classes", classes, "Names of the classes, in the order of their labels.").length(1, 256);
  subset.fields(f);
}

IdxDataset::IdxDataset(const Options& options, const std::string& folder, const std::string& advice)
    : ResidentDataset(read(options, folder, advice), options.subset) {}

Mnist::Options::Options() { classes = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; }

void Mnist::Options::fields(Fields& f) {
  f("root", root, "Folder with the four IDX files, plain or .gz.").required();
  common_fields(f);
}

Mnist::Mnist(const Options& options) : IdxDataset(options, "MNIST", kMnistAdvice) {}

FashionMnist::Options::Options() {
  root.value = "/usr/share/datasets/fashion-mnist";  // of Debian's package
  classes = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
             "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
}

void FashionMnist::Options::fields(Fields& f) {
  f("root", root, "Folder with the four IDX files, plain or .gz (dataset-fashion-mnist).");
  common_fields(f);
}

FashionMnist::FashionMnist(const Options& options)
    : IdxDataset(options, "FashionMNIST", kFashionMnistAdvice) {}

}  // namespace dnc
