#pragma once

#include <array>
#include <cstdint>

#include "registry/batch.h"
#include "registry/dataset.h"

namespace dnc {

/// Puts samples into a batch, one after the other, straight into the memory of its tensors. The
/// first decides the size and type of the images; gray ones get three equal channels.
class BatchBuilder {
 public:
  /// For `count` samples of `dataset`. `pin`: page-locked memory, for copies to a GPU that overlap
  /// with its work. `free_label_size`: label images may be of another size than their images (of
  /// the original one, in evaluation), but all of the same.
  BatchBuilder(const Dataset& dataset, int64_t count, bool pin, bool free_label_size = false);

  /// Throws DataError, beginning with the name of the sample: its label is beyond the classes, its
  /// image damaged (found when it is decoded here), or not of the first one's size or type.
  void add(const Sample& sample);
  /// The batch, with as many rows as samples were added; its tensors are undefined for none.
  Batch finish();

 private:
  void allocate(const Sample& first);
  void check_like_first(const Sample& sample) const;
  void put_image(const Sample& sample, int64_t row);
  void put_label(const Sample& sample, int64_t row);
  void put_label_image(const Sample& sample, int64_t row);
  [[noreturn]] void fail_label(int64_t index, int64_t label) const;

  const Dataset& dataset_;
  int64_t count_;
  bool pin_;
  bool free_label_size_;
  int64_t height_ = 0;
  int64_t width_ = 0;
  int64_t label_height_ = 0;
  int64_t label_width_ = 0;
  bool floats_ = false;
  std::array<int64_t, 256> pixel_labels_{};  // of a label image's value; kBeyond for none
  Batch batch_;
};

}  // namespace dnc
