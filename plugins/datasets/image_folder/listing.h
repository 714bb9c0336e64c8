#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "plugins/datasets/image_folder/list_file.h"

namespace dnc {

/// Image files with their labels, and the names of the classes.
struct Listing {
  std::vector<std::string> files;
  std::vector<int64_t> labels;  // one for each file
  std::vector<std::string> classes;
};

/// What counts as an image, and where to look.
struct ImageFilter {
  std::vector<std::string> extensions;  // "jpg" or ".jpg", in any case
  bool recursive = true;                // in the folders of a class folder too
  bool allow_empty = false;             // a class without images is no error
};

/// One folder of images for each class below `root`. The classes are the folders in the order of
/// their names, or just those in `classes`, in that order. Throws DataError, which begins with the
/// folder, where one is missing or has no images.
Listing list_class_folders(const std::filesystem::path& root,
                           const std::vector<std::string>& classes, const ImageFilter& filter);

/// The files of a list, whose paths are relative to `root` (see ListLine). A label is the name of a
/// class, or its number from 0. Where `classes` is empty, the classes are the names in the list in
/// their order, or the numbers up to the largest. Throws DataError, which begins with the file and
/// line, also where a path comes twice.
Listing read_list(const std::filesystem::path& list, const std::filesystem::path& root,
                  const std::vector<std::string>& classes, const ListColumns& columns);

}  // namespace dnc
