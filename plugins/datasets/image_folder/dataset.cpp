#include "plugins/datasets/image_folder/dataset.h"

#include <filesystem>
#include <utility>

#include "plugins/datasets/common/labels.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

Listing find_images(const ImageFolder::Options& options) {
  const auto classes = class_names(options.classes, options.class_file);
  if (!options.list.empty()) {
    const fs::path list(options.list.value);
    const auto root = options.root.empty() ? list.parent_path() : fs::path(options.root.value);
    return read_list(list, root, classes, options.columns);
  }
  if (options.root.empty()) {
    throw OptionError("root", "is missing: the folder with one folder of images for each class");
  }
  return list_class_folders(options.root.value, classes, options.filter);
}

}  // namespace

void ImageFolder::Options::fields(Fields& f) {
  f("root", root,
    "Folder with one folder of images for each class; with `list`, where its paths start from "
    "(default: beside the list).")
      .alias("data_prefix");
  f("list", list,
    "Text file with lines PATH LABEL, or PATH<TAB>CLASS where a name has spaces in it; or a .csv, "
    "or a .jsonl with one object a line. A label is the name of a class, or its number from 0.")
      .alias("ann_file");
  f("columns", columns.names, "Of a .csv the columns with path and label, of a .jsonl the keys.")
      .length(2, 2);
  f("header", columns.header,
    "A .csv begins with the names of its columns; else path and label are the first two.");
  f("classes", classes,
    "Names of the classes in the order of their labels; without `list`, only these folders.");
  f("class_file", class_file, "The same from a text file, one name a line.");
  f("extensions", filter.extensions, "Endings of the files that are images, in any case.");
  f("recursive", filter.recursive, "Look in the folders inside a class folder too.");
  f("allow_empty", filter.allow_empty, "Let a class have no images.");
  subset.fields(f);
}

ImageFolder::ImageFolder(const Options& options, const Context& context)
    : images_(*context.images) {
  auto listing = find_images(options);
  for (const int64_t i : select(listing.labels, options.subset)) {
    files_.push_back(std::move(listing.files[static_cast<size_t>(i)]));
    labels_.push_back(listing.labels[static_cast<size_t>(i)]);
  }
  classes_.names = std::move(listing.classes);
}

int64_t ImageFolder::size() const { return static_cast<int64_t>(files_.size()); }

Sample ImageFolder::load(int64_t index) const {
  Sample sample;
  sample.index = index;
  sample.label = labels_.at(static_cast<size_t>(index));
  sample.image = images_.open(files_[static_cast<size_t>(index)]);
  return sample;
}

int64_t ImageFolder::label(int64_t index) const { return labels_.at(static_cast<size_t>(index)); }

std::string ImageFolder::name(int64_t index) const { return files_.at(static_cast<size_t>(index)); }

}  // namespace dnc
