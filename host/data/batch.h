#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <vector>

#include "registry/dataset.h"

namespace dnc {

/// N samples as a network takes them.
struct Batch {
  torch::Tensor images;          // uint8 or float32 [N, 3, H, W], in channels-last memory
  torch::Tensor labels;          // int64 [N], or [N, H, W] for pixels; kIgnoredLabel where ignored
  std::vector<int64_t> indices;  // [N], in the data set

  int64_t size() const { return static_cast<int64_t>(indices.size()); }
};

/// Puts samples into a batch, one after the other, straight into the memory of its tensors. The
/// first decides the size and type of the images; gray ones get three equal channels.
class BatchBuilder {
 public:
  /// For `count` samples of `dataset`. `pin`: page-locked memory, for copies to a GPU that overlap
  /// with its work.
  BatchBuilder(const Dataset& dataset, int64_t count, bool pin);

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
  int64_t height_ = 0;
  int64_t width_ = 0;
  bool floats_ = false;
  std::array<int64_t, 256> pixel_labels_{};  // of a label image's value; kBeyond for none
  Batch batch_;
};

}  // namespace dnc
