#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// The middle of an image, as torchvision's CenterCrop: [H, W] to `size`. An image that is smaller
/// gets a black border. With `crop_padding` as EfficientNets are tested: the middle square that
/// leaves out as large a part of the shorter side, resized to `size`.
class CenterCrop final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> size;
    int64_t crop_padding = 0;
    Interpolation interpolation = Interpolation::kBicubic;
    void fields(Fields& f);
  };
  explicit CenterCrop(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  void crop_square(Sample& sample) const;

  Options options_;
};

}  // namespace dnc
