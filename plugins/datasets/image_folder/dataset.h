#pragma once

#include <string>
#include <vector>

#include "plugins/datasets/common/subset.h"
#include "plugins/datasets/image_folder/listing.h"
#include "registry/context.h"
#include "registry/dataset.h"
#include "registry/fields.h"

namespace dnc {

/// Image files in one folder for each class, or in a list. An image is decoded when the transforms
/// ask for its pixels.
class ImageFolder final : public Dataset {
 public:
  struct Options {
    Path root;
    Path list;
    ListColumns columns;
    std::vector<std::string> classes;
    Path class_file;
    ImageFilter filter{{".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}};
    SubsetOptions subset;
    void fields(Fields& f);
  };
  ImageFolder(const Options& options, const Context& context);

  int64_t size() const override;
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  int64_t label(int64_t index) const override;
  /// The path of the file.
  std::string name(int64_t index) const override;

 private:
  const ImageReader& images_;
  std::vector<std::string> files_;
  std::vector<int64_t> labels_;  // one for each file
  ClassInfo classes_;
};

}  // namespace dnc
