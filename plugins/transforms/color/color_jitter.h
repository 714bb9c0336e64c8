#pragma once

#include <vector>

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Brightness, contrast, saturation and hue changed at random, in random order, as torchvision's
/// ColorJitter does it on PIL images. Of an image of one channel only brightness and contrast
/// change.
class ColorJitter final : public Transform {
 public:
  struct Options {
    double probability = 1;
    std::vector<double> brightness{0};
    std::vector<double> contrast{0};
    std::vector<double> saturation{0};
    std::vector<double> hue{0};
    void fields(Fields& f);
  };
  explicit ColorJitter(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  struct Range {
    double low = 0;
    double high = 0;
  };
  double probability_;
  Range brightness_;
  Range contrast_;
  Range saturation_;
  Range hue_;
};

}  // namespace dnc
