#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// A part of a fixed size at a random place, as torchvision's RandomCrop: [H, W] to `size`.
class RandomCrop final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> size;
    std::vector<int64_t> padding{0};
    bool pad_if_needed = false;
    std::vector<double> fill{0};
    Border::Mode padding_mode = Border::Mode::kConstant;
    void fields(Fields& f);
  };
  explicit RandomCrop(const Options& options);

  /// Throws DataError for an image that is smaller than the crop.
  void apply(Sample& sample, Random& random) const override;

 private:
  // Around the image, in pixels.
  struct Padding {
    int64_t left = 0;
    int64_t top = 0;
    int64_t right = 0;
    int64_t bottom = 0;
  };
  static Padding to_padding(const std::vector<int64_t>& numbers);

  int64_t height_;
  int64_t width_;
  Padding padding_;
  bool pad_if_needed_;
  Border border_;
};

}  // namespace dnc
