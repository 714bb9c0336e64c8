#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace dnc {

/// An image file and the file with the class of each of its pixels.
struct FilePair {
  std::string image;
  std::string labels;
};

/// Where the files of a data set lie: IMAGES/NAME + image suffix goes with LABELS/NAME + label
/// suffix, where NAME may lie in folders below.
struct PairPlaces {
  std::filesystem::path images;
  std::filesystem::path labels;
  std::string image_suffix;
  std::string label_suffix;
};

/// All images, in the order of their paths. Throws DataError, which begins with the folder or file,
/// where there is no image or where one has no labels.
std::vector<FilePair> find_pairs(const PairPlaces& places);

/// The images that a text file lists, in its order. A line is a NAME, with or without the image
/// suffix, or two paths from `root`, "IMAGE<TAB>LABELS". Throws DataError, which begins with the
/// file and line, where one of them does not exist.
std::vector<FilePair> read_pairs(const std::filesystem::path& list,
                                 const std::filesystem::path& root, const PairPlaces& places);

/// Drops what is behind the first `count`; 0 keeps all.
void keep_first(std::vector<FilePair>& pairs, int64_t count);

}  // namespace dnc
