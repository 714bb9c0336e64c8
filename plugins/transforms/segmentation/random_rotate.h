#pragma once

#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// Turned about its centre by a random angle, of the same size, as RandomRotate of mmsegmentation:
/// clockwise where the angle is positive. Labels are picked, and ignored where nothing was.
class RandomRotate final : public Transform {
 public:
  struct Options {
    double probability = 0.5;
    std::vector<double> degree;
    std::vector<double> fill{0};
    Interpolation interpolation = Interpolation::kBilinear;
    void fields(Fields& f);
  };
  explicit RandomRotate(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  Options options_;
  double low_ = 0;  // degrees
  double high_ = 0;
};

}  // namespace dnc
