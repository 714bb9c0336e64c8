#pragma once

#include <cstdint>
#include <vector>

#include "plugins/transforms/geometry/padding.h"
#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// A part of a fixed size at a random place, as torchvision's RandomCrop: [H, W] to `size`. For
/// pixels with mmsegmentation's `cat_max_ratio`: a part of which one class fills too much is drawn
/// again, up to ten times.
class RandomCrop final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> size;
    std::vector<int64_t> padding{0};
    bool pad_if_needed = false;
    std::vector<double> fill{0};
    Border::Mode padding_mode = Border::Mode::kConstant;
    double cat_max_ratio = 1;
    void fields(Fields& f);
  };
  explicit RandomCrop(const Options& options);

  /// Throws DataError for an image that is smaller than the crop.
  void apply(Sample& sample, Random& random) const override;

 private:
  // Whether the labels in `box` are of more than one class, and none fills too much of it.
  bool is_mixed(const Image& labels, const Box& box) const;

  int64_t height_;
  int64_t width_;
  Padding padding_;
  bool pad_if_needed_;
  double cat_max_ratio_;
  Border border_;
};

}  // namespace dnc
