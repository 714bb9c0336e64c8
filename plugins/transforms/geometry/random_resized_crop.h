#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// A random part of random area and shape, resized to one size ("Inception crop", Szegedy et al.
/// 2015), as torchvision's RandomResizedCrop: [H, W] to `size`. Nothing is decoded outside of it.
class RandomResizedCrop final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> size;
    std::vector<double> scale{0.08, 1.0};
    std::vector<double> ratio{3.0 / 4.0, 4.0 / 3.0};
    Interpolation interpolation = Interpolation::kBilinear;
    Decoding decoding = Decoding::kExact;
    void fields(Fields& f);
  };
  explicit RandomResizedCrop(const Options& options);

  void apply(Sample& sample, Random& random) const override;
  /// The part that is taken of an image of this size.
  Box choose(int64_t height, int64_t width, Random& random) const;

 private:
  Box choose_centre(int64_t height, int64_t width) const;

  Options options_;
};

}  // namespace dnc
