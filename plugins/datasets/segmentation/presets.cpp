#include "plugins/datasets/segmentation/presets.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "plugins/datasets/common/files.h"
#include "plugins/datasets/segmentation/class_tables.h"
#include "registry/error.h"
#include "registry/text.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

// Files by their places from the root, and what is in them.
struct Preset {
  ClassInfo classes;
  PairPlaces places;
  std::string list;  // empty for all images
  LabelRules rules;
  std::string advice;
};

const std::string& either(const std::string& given, const std::string& usual) {
  return given.empty() ? usual : given;
}

std::vector<FilePair> find_files(const PresetOptions& options, const Preset& preset) {
  const fs::path root(options.root.value);
  const auto& usual = preset.places;
  const PairPlaces places{root / either(options.images, usual.images.string()),
                          root / either(options.labels, usual.labels.string()),
                          either(options.image_suffix, usual.image_suffix),
                          either(options.label_suffix, usual.label_suffix)};
  const auto& list = either(options.list, preset.list);
  auto files = list.empty() ? find_pairs(places) : read_pairs(root / list, root, places);
  keep_first(files, options.samples);
  return files;
}

// Keeps the classes that `names` has, in its order.
void select_classes(const std::vector<std::string>& names, ClassInfo& classes, LabelTable& table) {
  if (names.empty()) return;
  check_class_names(names, "classes");
  std::vector<int64_t> kept;
  ClassInfo selected;
  for (const auto& name : names) {
    const auto found = std::find(classes.names.begin(), classes.names.end(), name);
    if (found == classes.names.end()) {
      throw OptionError("classes", fmt::format("has '{}', which is no class of this data set{}",
                                               name, suggestion(name, classes.names)));
    }
    const auto label = found - classes.names.begin();
    kept.push_back(label);
    selected.names.push_back(name);
    selected.palette.push_back(classes.palette[static_cast<size_t>(label)]);
  }
  classes = std::move(selected);
  table.select(kept);
}

LabelRules renames_of(const std::vector<int64_t>& ids) {
  LabelRules rules;
  for (size_t i = 0; i < ids.size(); ++i)
    rules.renames.push_back({{ids[i]}, static_cast<int64_t>(i)});
  return rules;
}

// The ids that become 0, 1, ...; all others up to 33 count nowhere.
LabelRules cityscapes_ids() {
  auto rules =
      renames_of({7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33});
  for (int64_t id = 0; id <= 33; ++id) rules.ignored.push_back(id);
  return rules;
}

// Eleven ids stand for things that no image has.
LabelRules coco_stuff_ids() {
  constexpr int64_t kUnused[] = {11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90};
  std::vector<int64_t> ids;
  for (int64_t id = 0; id <= 181; ++id) {
    if (!std::ranges::count(kUnused, id)) ids.push_back(id);
  }
  return renames_of(ids);
}

Field& label_files_field(Fields& f, LabelFiles& files) {
  return f.choice("label_files", files,
                  {{"ids", LabelFiles::kIds}, {"train_ids", LabelFiles::kTrainIds}},
                  "The files with the data set's own ids, as they are published, or those that a "
                  "tool has made with the numbers of the classes.");
}

const char* advice_for(LabelFiles files) {
  return files == LabelFiles::kIds ? "do they hold train ids? Then set `label_files: train_ids`"
                                   : "do they hold the data set's ids? Then set `label_files: ids`";
}

Preset ade20k(const ADE20K::Options& options) {
  const std::string folder = options.split == "train" ? "training" : "validation";
  return {ade20k_classes(),
          {"images/" + folder, "annotations/" + folder, ".jpg", ".png"},
          "",
          {{}, {}, true},  // reduce_zero_label
          "expected the files of ADEChallengeData2016, where 0 is no class"};
}

Preset cityscapes(const Cityscapes::Options& options) {
  const bool ids = options.label_files == LabelFiles::kIds;
  return {cityscapes_classes(),
          {"leftImg8bit/" + options.split, "gtFine/" + options.split, "_leftImg8bit.png",
           ids ? "_gtFine_labelIds.png" : "_gtFine_labelTrainIds.png"},
          "",
          ids ? cityscapes_ids() : LabelRules{},
          advice_for(options.label_files)};
}

Preset pascal_voc(const PascalVOC::Options& options) {
  return {pascal_voc_classes(),
          {"JPEGImages", options.split == "aug" ? "SegmentationClassAug" : "SegmentationClass",
           ".jpg", ".png"},
          "ImageSets/Segmentation/" + options.split + ".txt",
          {},
          "expected 0 (background) to 20, and 255 for borders"};
}

Preset camvid(const CamVid::Options& options) {
  return {camvid_classes(),
          {options.split + "/images", options.split + "/labels", ".jpg", ".png"},
          "",
          {{}, {11}, false},  // ignored
          "expected the 11 classes of the SegNet tutorial, and 11 where there is none"};
}

Preset coco_stuff(const COCOStuff::Options& options) {
  const bool ids = options.label_files == LabelFiles::kIds;
  const std::string folder = options.split + "2017";
  return {
      coco_stuff_classes(),
      {"images/" + folder, "annotations/" + folder, ".jpg", ids ? ".png" : "_labelTrainIds.png"},
      "",
      ids ? coco_stuff_ids() : LabelRules{},
      advice_for(options.label_files)};
}

SegmentationFiles read(const PresetOptions& options, Preset preset) {
  LabelTable table(preset.classes.size(), preset.rules);
  select_classes(options.classes, preset.classes, table);
  auto files = find_files(options, preset);
  return {std::move(files), std::move(preset.classes), table, preset.advice, preset.advice};
}

}  // namespace

void PresetOptions::fields(Fields& f, const std::vector<std::string>& splits) {
  std::vector<std::pair<std::string, std::string>> choices;
  for (const auto& name : splits) choices.emplace_back(name, name);
  f("root", root, "Folder of the data set.").required().alias("data_root");
  f.choice("split", split, choices, "Which part of the data.");
  const std::string usual = "; none = as the data set is published.";
  f("images", images, "Folder of the images, from `root`" + usual).alias("img_dir");
  f("labels", labels, "Folder of the label images, from `root`" + usual).alias("ann_dir");
  f("list", list, "Text file that names the images to take, from `root`" + usual).alias("ann_file");
  f("image_suffix", image_suffix, "Ending of the image files" + usual).alias("img_suffix");
  f("label_suffix", label_suffix, "Ending of the label files" + usual).alias("seg_map_suffix");
  f("classes", classes, "Only these of its classes, in this order; the others are ignored.");
  f("samples", samples, "Keep only the first samples, at most this many; 0 keeps all.").at_least(0);
}

void Cityscapes::Options::fields(Fields& f) {
  PresetOptions::fields(f, {"train", "val"});
  label_files_field(f, label_files);
}

void COCOStuff::Options::fields(Fields& f) {
  PresetOptions::fields(f, {"train", "val"});
  label_files_field(f, label_files);
}

ADE20K::ADE20K(const Options& options, const Context& context)
    : SegmentationDataset(*context.images, read(options, ade20k(options))) {}

Cityscapes::Cityscapes(const Options& options, const Context& context)
    : SegmentationDataset(*context.images, read(options, cityscapes(options))) {}

PascalVOC::PascalVOC(const Options& options, const Context& context)
    : SegmentationDataset(*context.images, read(options, pascal_voc(options))) {}

CamVid::CamVid(const Options& options, const Context& context)
    : SegmentationDataset(*context.images, read(options, camvid(options))) {}

COCOStuff::COCOStuff(const Options& options, const Context& context)
    : SegmentationDataset(*context.images, read(options, coco_stuff(options))) {}

}  // namespace dnc
