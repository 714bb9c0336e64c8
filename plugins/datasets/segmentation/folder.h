#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/datasets/segmentation/dataset.h"
#include "registry/context.h"
#include "registry/fields.h"

namespace dnc {

/// Any data set for pixels that lies in a folder of images and one of label images (8-bit PNG,
/// gray or palette, whose values are class ids), as mmsegmentation's CustomDataset.
class SegmentationFolder final : public SegmentationDataset {
 public:
  struct Options {
    Path root;
    std::string images = "images";
    std::string labels = "labels";
    std::string list;
    std::string image_suffix = ".jpg";
    std::string label_suffix = ".png";
    std::vector<std::string> classes;
    Path class_file;
    std::vector<std::string> palette;
    LabelRules rules;
    int64_t samples = 0;
    void fields(Fields& f);
  };
  SegmentationFolder(const Options& options, const Context& context);
};

}  // namespace dnc
