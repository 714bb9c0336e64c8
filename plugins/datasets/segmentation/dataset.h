#pragma once

#include <string>
#include <vector>

#include "plugins/datasets/segmentation/file_pairs.h"
#include "plugins/datasets/segmentation/label_table.h"
#include "registry/dataset.h"

namespace dnc {

/// What a data set for pixels is made of.
struct SegmentationFiles {
  std::vector<FilePair> files;
  ClassInfo classes;
  LabelTable table;
  std::string advice;           // what to do about values that are no class
  std::string advice_for_zero;  // the same where 0 seems to be none, so that all are one too high
};

/// Images and label images in pairs of files: sample i is an image [H, W, 3] and the class of each
/// of its pixels [H, W, 1], 255 where it is ignored. What all data sets for pixels share.
class SegmentationDataset : public Dataset {
 public:
  int64_t size() const override { return static_cast<int64_t>(set_.files.size()); }
  /// Throws DataError, which begins with the label file, where that is not of the image's size,
  /// no picture of class ids (RGB, 16 bits), or has values that are no class. Labels that are all
  /// ignored are no error.
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return set_.classes; }
  Task task() const override { return Task::kPixels; }
  /// There is none: an image has many.
  int64_t label(int64_t) const override { return Sample().label; }
  /// The path of the image.
  std::string name(int64_t index) const override;

 protected:
  SegmentationDataset(const ImageReader& images, SegmentationFiles files);

 private:
  void check_size(const Sample& sample) const;
  [[noreturn]] void fail_values(int64_t index) const;

  const ImageReader& images_;
  SegmentationFiles set_;
};

}  // namespace dnc
