#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "registry/dataset.h"
#include "registry/image.h"

namespace dnc {

/// Image files of one class.
struct ClassFiles {
  int64_t label = 0;
  std::vector<std::string> files;
};

/// A data set under other classes: labels, of images or of pixels, are mapped by the names of their
/// classes, and what is of none of the new classes counts nowhere (kIgnoredLabel). Behind its
/// samples stand image files of further classes, for models of images.
class NamedClasses final : public Dataset {
 public:
  NamedClasses(std::shared_ptr<const Dataset> source, ClassInfo classes,
               const std::vector<ClassFiles>& further, const ImageReader& images);

  int64_t size() const override;
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  Task task() const override { return source_->task(); }
  int64_t label(int64_t index) const override;
  /// Those of the source; each file is one by itself.
  std::vector<int64_t> shards() const override;
  std::string name(int64_t index) const override;

 private:
  int64_t mapped(int64_t label) const;

  std::shared_ptr<const Dataset> source_;
  ClassInfo classes_;
  std::vector<int64_t> label_of_;        // each label of the source
  std::array<uint8_t, 256> pixel_of_{};  // the same for label images
  std::vector<std::string> files_;       // behind the source's samples
  std::vector<int64_t> labels_;          // of the files
  const ImageReader& images_;
};

/// The image files that a text file lists, one in each line, relative to it. Throws DataError,
/// beginning with the list, where it is not there or is empty.
std::vector<std::string> read_file_list(const std::filesystem::path& list);

/// One image as a sample of a class, without decoding it. Throws DataError, beginning with the
/// file.
Sample image_sample(const ImageReader& images, const std::string& file, int64_t index,
                    int64_t label);

}  // namespace dnc
