#include "plugins/datasets/cifar/dataset.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "plugins/datasets/cifar/class_names.h"
#include "plugins/datasets/common/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;

// Where the files of one split lie, and what a record of them is.
struct Layout {
  std::string folder;              // that the archive unpacks to
  std::vector<std::string> files;  // of the split
  std::string names_file;          // class names, one a line; need not be there
  std::vector<std::string> names;  // the same, built in
  int64_t label_bytes = 1;         // before the pixels of a record
  int64_t label_byte = 0;          // the one that counts
  std::string advice;              // where a file is missing
};

std::string where_to_get(const std::string& archive, const std::string& folder) {
  return fmt::format(
      "unpack https://www.cs.toronto.edu/~kriz/{} (the binary version, not the one for Python) "
      "and set `root` to its folder {}",
      archive, folder);
}

Layout layout_of(const Cifar10::Options& options) {
  Layout layout;
  layout.folder = "cifar-10-batches-bin";
  layout.names_file = "batches.meta.txt";
  layout.names = cifar10_names();
  layout.advice = where_to_get("cifar-10-binary.tar.gz", layout.folder);
  if (options.split == DatasetSplit::kTest) {
    layout.files = {"test_batch.bin"};
    return layout;
  }
  for (int64_t i = 1; i <= options.batches; ++i) {
    layout.files.push_back(fmt::format("data_batch_{}.bin", i));
  }
  layout.advice += ", or set `batches` where there are fewer than 5 files data_batch_N.bin";
  return layout;
}

Layout layout_of(const Cifar100::Options& options) {
  const bool fine = options.labels == Cifar100::Labels::kFine;
  Layout layout;
  layout.folder = "cifar-100-binary";
  layout.files = {options.split == DatasetSplit::kTest ? "test.bin" : "train.bin"};
  layout.names_file = fine ? "fine_label_names.txt" : "coarse_label_names.txt";
  layout.names = fine ? cifar100_fine_names() : cifar100_coarse_names();
  layout.label_bytes = 2;
  layout.label_byte = fine ? 1 : 0;
  layout.advice = where_to_get("cifar-100-binary.tar.gz", layout.folder);
  return layout;
}

// `root`, or the folder of the archive in it.
fs::path find_folder(const Path& root, const Layout& layout) {
  if (root.empty()) throw OptionError("root", "is missing: " + layout.advice);
  const fs::path folder(root.value);
  if (!fs::is_directory(folder)) {
    throw DataError(fmt::format("{}: no such folder; {}", folder.string(), layout.advice));
  }
  const auto inner = folder / layout.folder;
  return fs::is_directory(inner) ? inner : folder;
}

// Appends the records of one file; planes become interleaved pixels.
void read_records(const fs::path& file, const Layout& layout, Pictures& pictures) {
  const int64_t record = layout.label_bytes + 3 * kPlane;
  const auto bytes = read_bytes(file, layout.advice);
  const auto size = static_cast<int64_t>(bytes.size());
  if (size == 0 || size % record != 0) {
    throw DataError(
        fmt::format("{}: {} bytes are no whole number of records of {} bytes; is it "
                    "truncated, or another file?",
                    file.string(), size, record));
  }
  const int64_t count = size / record;
  const auto classes = static_cast<int64_t>(layout.names.size());
  const size_t start = pictures.pixels.size();
  pictures.pixels.resize(start + static_cast<size_t>(count * 3 * kPlane));
  uint8_t* out = pictures.pixels.data() + start;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* in = bytes.data() + i * record;
    const int64_t label = in[layout.label_byte];
    if (label >= classes) {
      throw DataError(
          fmt::format("{}: label {} of image #{} is beyond the {} classes (0 to {}); "
                      "is it damaged, or another file?",
                      file.string(), label, i, classes, classes - 1));
    }
    pictures.labels.push_back(label);
    const uint8_t* planes = in + layout.label_bytes;
    for (int64_t pixel = 0; pixel < kPlane; ++pixel) {
      for (int64_t channel = 0; channel < 3; ++channel) *out++ = planes[channel * kPlane + pixel];
    }
  }
  pictures.files.push_back({file.filename().string(), count});
}

Pictures read(const Path& root, const Layout& layout) {
  const auto folder = find_folder(root, layout);
  Pictures pictures;
  pictures.height = kSide;
  pictures.width = kSide;
  pictures.channels = 3;
  for (const auto& file : layout.files) read_records(folder / file, layout, pictures);

  const auto names_file = folder / layout.names_file;
  pictures.classes.names = fs::exists(names_file) ? read_class_names(names_file) : layout.names;
  if (pictures.classes.size() != static_cast<int64_t>(layout.names.size())) {
    throw DataError(fmt::format("{}: {} class names, expected {}", names_file.string(),
                                pictures.classes.size(), layout.names.size()));
  }
  return pictures;
}

}  // namespace

void Cifar10::Options::fields(Fields& f) {
  f("root", root, "Folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin.")
      .required();
  split_field(f, split);
  f("batches", batches, "How many files data_batch_N.bin the training split has.").between(1, 5);
  subset.fields(f);
}

Cifar10::Cifar10(const Options& options)
    : ResidentDataset(read(options.root, layout_of(options)), options.subset) {}

void Cifar100::Options::fields(Fields& f) {
  f("root", root, "Folder with train.bin and test.bin.").required();
  split_field(f, split);
  f.choice("labels", labels, {{"fine", Labels::kFine}, {"coarse", Labels::kCoarse}},
           "100 classes, or 20 groups of 5 of them.");
  subset.fields(f);
}

Cifar100::Cifar100(const Options& options)
    : ResidentDataset(read(options.root, layout_of(options)), options.subset) {}

}  // namespace dnc
