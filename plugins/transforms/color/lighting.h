#pragma once

#include <vector>

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Adds one random colour to the whole image, along the principal components of ImageNet's colours
/// (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012).
/// The bytes are rounded and cut at 0 and 255, where mmcv goes on with floats; a gray image becomes
/// RGB.
class Lighting final : public Transform {
 public:
  struct Options {
    double deviation = 0.1;
    // As in OpenMMLab's configs: for white = 255.
    std::vector<double> eigenvalues{55.4625, 4.7940, 1.1475};
    std::vector<double> eigenvectors{-0.5675, 0.7192,  0.4009,   // red
                                     -0.5808, -0.0045, -0.8140,  // green
                                     -0.5836, -0.6948, 0.4203};  // blue
    void fields(Fields& f);
  };
  explicit Lighting(const Options& options) : options_(options) {}

  void apply(Sample& sample, Random& random) const override;

 private:
  Options options_;
};

}  // namespace dnc
