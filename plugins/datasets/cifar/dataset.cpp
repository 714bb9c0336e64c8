#include "plugins/datasets/cifar/dataset.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "plugins/datasets/cifar/class_names.h"
#include "plugins/datasets/cifar/python_batch.h"
#include "plugins/datasets/common/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;

// One of the two forms in which the data is to be had.
struct Archive {
  std::string folder;      // that it unpacks to
  std::string suffix;      // of its files
  std::string names_file;  // class names; need not be there
  bool python = false;     // pickles, not records of bytes
};

// What the files of one split are called, and what they hold.
struct Layout {
  std::array<Archive, 2> archives;
  std::vector<std::string> files;  // of the split, without suffix
  std::vector<std::string> known;  // of all splits
  std::vector<std::string> names;  // class names, built in
  int64_t label_bytes = 1;         // binary: before the pixels of a record
  int64_t label_byte = 0;          // the one that counts
  std::string label_key;           // Python: the key of the labels
  std::string names_key;           // and of the class names
  std::string advice;              // where a file is missing
};

std::string where_to_get(const std::string& archive) {
  return fmt::format(
      "unpack {0}-python.tar.gz or {0}-binary.tar.gz of https://www.cs.toronto.edu/~kriz and set "
      "`root` to its folder",
      archive);
}

Layout layout_of(const Cifar10::Options& options) {
  Layout layout;
  layout.archives = {Archive{"cifar-10-batches-bin", ".bin", "batches.meta.txt", false},
                     Archive{"cifar-10-batches-py", "", "batches.meta", true}};
  for (int64_t i = 1; i <= options.batches; ++i) {
    layout.files.push_back(fmt::format("data_batch_{}", i));
  }
  layout.known = layout.files;
  layout.known.emplace_back("test_batch");
  layout.names = cifar10_names();
  layout.label_key = "labels";
  layout.names_key = "label_names";
  layout.advice = where_to_get("cifar-10");
  if (options.split == DatasetSplit::kTest) {
    layout.files = {"test_batch"};
  } else {
    layout.advice += ", or set `batches` where there are fewer than 5 files data_batch_N";
  }
  return layout;
}

Layout layout_of(const Cifar100::Options& options) {
  const bool fine = options.labels == Cifar100::Labels::kFine;
  const std::string kind = fine ? "fine" : "coarse";
  Layout layout;
  layout.archives = {Archive{"cifar-100-binary", ".bin", kind + "_label_names.txt", false},
                     Archive{"cifar-100-python", "", "meta", true}};
  layout.files = {options.split == DatasetSplit::kTest ? "test" : "train"};
  layout.known = {"train", "test"};
  layout.names = fine ? cifar100_fine_names() : cifar100_coarse_names();
  layout.label_bytes = 2;
  layout.label_byte = fine ? 1 : 0;
  layout.label_key = kind + "_labels";
  layout.names_key = kind + "_label_names";
  layout.advice = where_to_get("cifar-100");
  return layout;
}

struct Place {
  fs::path folder;
  Archive archive;
};

bool has_any(const fs::path& folder, const std::vector<std::string>& files,
             const std::string& suffix) {
  for (const auto& file : files) {
    if (fs::is_regular_file(folder / (file + suffix))) return true;
  }
  return false;
}

// The archive whose files are in `root`, or in its own folder there.
Place find_archive(const Path& root, const Layout& layout) {
  const fs::path folder(root.value);
  if (!fs::is_directory(folder)) {
    throw DataError(fmt::format("{}: no such folder; {}", folder.string(), layout.advice));
  }
  for (const auto& archive : layout.archives) {
    for (const auto& place : {folder, folder / archive.folder}) {
      if (has_any(place, layout.known, archive.suffix)) return {place, archive};
    }
  }
  throw DataError(fmt::format("{}: has neither {}{} nor {}{}; {}", folder.string(),
                              layout.files.front(), layout.archives[0].suffix, layout.files.front(),
                              layout.archives[1].suffix, layout.advice));
}

// Appends a picture; its planes become interleaved pixels.
void add(int64_t label, const uint8_t* planes, const fs::path& file, int64_t number,
         const Layout& layout, Pictures& pictures) {
  const auto classes = static_cast<int64_t>(layout.names.size());
  if (label < 0 || label >= classes) {
    throw DataError(
        fmt::format("{}: label {} of image #{} is beyond the {} classes (0 to {}); "
                    "is it damaged, or another file?",
                    file.string(), label, number, classes, classes - 1));
  }
  pictures.labels.push_back(label);
  const size_t start = pictures.pixels.size();
  pictures.pixels.resize(start + 3 * kPlane);
  uint8_t* out = pictures.pixels.data() + start;
  for (int64_t pixel = 0; pixel < kPlane; ++pixel) {
    for (int64_t channel = 0; channel < 3; ++channel) *out++ = planes[channel * kPlane + pixel];
  }
}

// Appends the records of a binary file: label bytes and 3 planes of 32 x 32.
int64_t read_binary(const fs::path& file, const Layout& layout, Pictures& pictures) {
  const int64_t record = layout.label_bytes + 3 * kPlane;
  const auto bytes = read_bytes(file, layout.advice);
  const auto size = static_cast<int64_t>(bytes.size());
  if (size == 0 || size % record != 0) {
    throw DataError(
        fmt::format("{}: {} bytes are no whole number of records of {} bytes; is it "
                    "truncated, or another file?",
                    file.string(), size, record));
  }
  for (int64_t i = 0; i < size / record; ++i) {
    const uint8_t* in = bytes.data() + i * record;
    add(in[layout.label_byte], in + layout.label_bytes, file, i, layout, pictures);
  }
  return size / record;
}

int64_t read_python(const fs::path& file, const Layout& layout, Pictures& pictures) {
  const auto batch = read_python_batch(file, layout.label_key, layout.advice);
  const auto* planes = reinterpret_cast<const uint8_t*>(batch.planes.data());
  const auto count = static_cast<int64_t>(batch.labels.size());
  for (int64_t i = 0; i < count; ++i) {
    add(batch.labels[static_cast<size_t>(i)], planes + i * 3 * kPlane, file, i, layout, pictures);
  }
  return count;
}

std::vector<std::string> read_names(const Place& place, const Layout& layout) {
  const auto file = place.folder / place.archive.names_file;
  if (!fs::exists(file)) return layout.names;
  auto names =
      place.archive.python ? read_python_names(file, layout.names_key) : read_class_names(file);
  if (names.size() != layout.names.size()) {
    throw DataError(fmt::format("{}: {} class names, expected {}", file.string(), names.size(),
                                layout.names.size()));
  }
  return names;
}

Pictures read(const Path& root, const Layout& layout) {
  const auto place = find_archive(root, layout);
  Pictures pictures;
  pictures.height = kSide;
  pictures.width = kSide;
  pictures.channels = 3;
  for (const auto& name : layout.files) {
    const auto file = place.folder / (name + place.archive.suffix);
    const int64_t count = place.archive.python ? read_python(file, layout, pictures)
                                               : read_binary(file, layout, pictures);
    pictures.files.push_back({file.filename().string(), count});
  }
  pictures.classes.names = read_names(place, layout);
  return pictures;
}

}  // namespace

void Cifar10::Options::fields(Fields& f) {
  f("root", root,
    "Folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the same without "
    ".bin of the archive for Python; or the folder around it.")
      .required();
  split_field(f, split);
  f("batches", batches, "How many files data_batch_N the training split has.").between(1, 5);
  subset.fields(f);
}

Cifar10::Cifar10(const Options& options)
    : ResidentDataset(read(options.root, layout_of(options)), options.subset) {}

void Cifar100::Options::fields(Fields& f) {
  f("root", root,
    "Folder with train.bin and test.bin, or train and test of the archive for Python; or the "
    "folder around it.")
      .required();
  split_field(f, split);
  f.choice("labels", labels, {{"fine", Labels::kFine}, {"coarse", Labels::kCoarse}},
           "100 classes, or 20 groups of 5 of them.");
  subset.fields(f);
}

Cifar100::Cifar100(const Options& options)
    : ResidentDataset(read(options.root, layout_of(options)), options.subset) {}

}  // namespace dnc
