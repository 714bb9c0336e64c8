#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/datasets/segmentation/dataset.h"
#include "registry/context.h"
#include "registry/fields.h"

namespace dnc {

/// Well-known data sets for pixels, in the folders in which they are published or in which
/// mmsegmentation keeps them. Each is a SegmentationFolder whose classes, colours, folders and
/// values are known.

/// What they have in common. Empty texts stand for what the data set has.
struct PresetOptions {
  Path root;
  std::string split = "train";
  std::string images;
  std::string labels;
  std::string list;
  std::string image_suffix;
  std::string label_suffix;
  std::vector<std::string> classes;
  int64_t samples = 0;

  /// `splits` are the names that `split` may have.
  void fields(Fields& f, const std::vector<std::string>& splits);
};

/// What is in the label files of a data set that has ids of its own for its classes.
enum class LabelFiles { kIds, kTrainIds };

/// ADE20K: ROOT/images/training, ROOT/annotations/training, ... of ADEChallengeData2016. 150
/// classes; 0 in the files is none of them.
class ADE20K final : public SegmentationDataset {
 public:
  struct Options : PresetOptions {
    void fields(Fields& f) { PresetOptions::fields(f, {"train", "val"}); }
  };
  ADE20K(const Options& options, const Context& context);
};

/// Cityscapes: ROOT/leftImg8bit/train/CITY/*_leftImg8bit.png and
/// ROOT/gtFine/train/CITY/*_gtFine_labelIds.png. 19 classes; the ids of the others are ignored.
class Cityscapes final : public SegmentationDataset {
 public:
  struct Options : PresetOptions {
    LabelFiles label_files = LabelFiles::kIds;
    void fields(Fields& f);
  };
  Cityscapes(const Options& options, const Context& context);
};

/// PASCAL VOC 2012: ROOT/JPEGImages, ROOT/SegmentationClass and
/// ROOT/ImageSets/Segmentation/SPLIT.txt of VOCdevkit/VOC2012; `split: aug` takes the labels of
/// SegmentationClassAug (Hariharan et al. 2011). 21 classes; the borders of objects are 255.
class PascalVOC final : public SegmentationDataset {
 public:
  struct Options : PresetOptions {
    void fields(Fields& f) { PresetOptions::fields(f, {"train", "val", "trainval", "aug"}); }
  };
  PascalVOC(const Options& options, const Context& context);
};

/// CamVid: ROOT/train/images, ROOT/train/labels, ... 11 classes; 11 in the files is none of them.
/// The SegNet tutorial's own folders are `images: train`, `labels: trainannot`, `image_suffix:
/// .png`.
class CamVid final : public SegmentationDataset {
 public:
  struct Options : PresetOptions {
    void fields(Fields& f) { PresetOptions::fields(f, {"train", "val", "test"}); }
  };
  CamVid(const Options& options, const Context& context);
};

/// COCO-Stuff 164k: ROOT/images/train2017, ROOT/annotations/train2017, ... 171 classes out of ids
/// from 0 to 181.
class COCOStuff final : public SegmentationDataset {
 public:
  struct Options : PresetOptions {
    LabelFiles label_files = LabelFiles::kIds;
    void fields(Fields& f);
  };
  COCOStuff(const Options& options, const Context& context);
};

}  // namespace dnc
