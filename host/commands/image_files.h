#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "registry/dataset.h"
#include "registry/head.h"
#include "registry/image.h"

namespace dnc {

/// Image files without labels, or all of one class, as a data set for models of images and of
/// pixels alike.
class ImageFiles final : public Dataset {
 public:
  ImageFiles(std::vector<std::string> files, const ImageReader& images, ClassInfo classes,
             int64_t label = kIgnoredLabel);

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  std::string name(int64_t index) const override { return files_[static_cast<size_t>(index)]; }

 private:
  std::vector<std::string> files_;
  const ImageReader& images_;
  ClassInfo classes_;
  int64_t label_;
};

/// Files as given; of folders, all images below them, by name. Throws DataError for what is not
/// there, and for a folder without images.
std::vector<std::string> find_images(const std::vector<std::string>& paths);

/// Throws DataError where two files have the same name without folder and suffix: `what` (their
/// pictures) would overwrite each other.
void check_names_differ(const std::vector<std::string>& files, const std::string& what);

/// Writes a uint8 image as a PNG file. Throws FileError.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace dnc
