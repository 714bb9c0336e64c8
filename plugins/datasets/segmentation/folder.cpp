#include "plugins/datasets/segmentation/folder.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "plugins/datasets/common/files.h"
#include "registry/error.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> class_names(const SegmentationFolder::Options& options) {
  if (options.classes.empty() == options.class_file.empty()) {
    throw OptionError("classes",
                      options.classes.empty()
                          ? "is missing: the names of the classes, in the order of their "
                            "values in the label files; or give a `class_file`"
                          : "is given beside `class_file`; leave one of them out");
  }
  if (!options.class_file.empty()) return read_class_names(options.class_file.value);
  check_class_names(options.classes, "classes");
  return options.classes;
}

std::array<uint8_t, 3> parse_color(const std::string& text) {
  uint32_t value = 0;
  const char* const end = text.data() + text.size();
  if (text.size() == 7 && text.front() == '#') {
    const auto [stop, error] = std::from_chars(text.data() + 1, end, value, 16);
    if (error == std::errc() && stop == end) {
      return {static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
              static_cast<uint8_t>(value)};
    }
  }
  throw OptionError("palette", fmt::format("'{}' is no colour; write it as \"#rrggbb\"", text));
}

ClassInfo read_classes(const SegmentationFolder::Options& options) {
  ClassInfo classes{class_names(options), {}};
  for (const auto& color : options.palette) classes.palette.push_back(parse_color(color));
  if (!classes.palette.empty() && classes.palette.size() != classes.names.size()) {
    throw OptionError("palette", fmt::format("has {} colours for {} classes; give one for each",
                                             classes.palette.size(), classes.names.size()));
  }
  return classes;
}

SegmentationFiles read(const SegmentationFolder::Options& options) {
  auto classes = read_classes(options);
  LabelTable table(classes.size(), options.rules);
  const fs::path root(options.root.value);
  const PairPlaces places{root / options.images, root / options.labels, options.image_suffix,
                          options.label_suffix};
  auto files =
      options.list.empty() ? find_pairs(places) : read_pairs(root / options.list, root, places);
  keep_first(files, options.samples);
  return {std::move(files), std::move(classes), table,
          "rename values with `label_map`, ignore them with `ignore_index`, or add classes",
          "if 0 means 'no class' here and the classes begin at 1, set `reduce_zero_label: true`"};
}

}  // namespace

void SegmentationFolder::Options::fields(Fields& f) {
  f("root", root, "Folder of the data set, where the paths below start from.")
      .required()
      .alias("data_root");
  f("images", images, "Folder of the images; they may lie in folders inside it.")
      .alias("img_dir")
      .alias("img_path");
  f("labels", labels, "Folder of the label images: 8-bit PNG files whose values are class ids.")
      .alias("ann_dir")
      .alias("seg_map_path");
  f("list", list,
    "Text file that names the images to take: a line is a NAME below `images`, or two paths "
    "IMAGE<TAB>LABELS. None = all images.")
      .alias("ann_file")
      .alias("split");
  f("image_suffix", image_suffix, "Ending of the image files.").alias("img_suffix");
  f("label_suffix", label_suffix, "What stands in a label file's name in place of `image_suffix`.")
      .alias("seg_map_suffix");
  f("classes", classes, "Names of the classes, in the order of their values in the label files.");
  f("class_file", class_file, "The same from a text file, one name a line.");
  f("palette", palette,
    "Colours of the classes in label pictures, \"#rrggbb\" each; none = chosen by the program.");
  f.list("label_map", rules.renames, "Values in the label files that stand for other classes.");
  f("ignore_index", rules.ignored,
    "Values in the label files that count nowhere; 255 is one of them anyway.")
      .between(0, 255);
  f("reduce_zero_label", rules.reduce_zero_label,
    "0 in the label files is no class and ignored; the classes begin at 1.");
  f("samples", samples, "Keep only the first samples, at most this many; 0 keeps all.").at_least(0);
}

SegmentationFolder::SegmentationFolder(const Options& options, const Context& context)
    : SegmentationDataset(*context.images, read(options)) {}

}  // namespace dnc
