#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Value times `factor` plus `addend`, cut at 0 and 255 and to whole numbers, of an image of bytes.
void scale_and_shift(Image& image, double factor, double addend);

/// Saturation of hue, saturation and value times `factor`, at most full. Hue and value stay as they
/// are; nothing is rounded but the result. Nothing to do for one channel.
void scale_saturation(Image& image, double factor);

/// Brightness, contrast, saturation and hue changed at random, each in half of the images, as
/// PhotoMetricDistortion of mmsegmentation (after Liu et al., "SSD", 2016): brightness; contrast,
/// for half of the images; saturation; hue; contrast for the other half. Labels stay.
///
/// Brightness and contrast equal it bit for bit. OpenCV rounds hue to 2 degrees and saturation to
/// 1/255 in between; here saturation is exact, and hue is that of ColorJitter (360 / 256 degrees).
class PhotometricDistortion final : public Transform {
 public:
  struct Options {
    double brightness_delta = 32;
    std::vector<double> contrast_range{0.5, 1.5};
    std::vector<double> saturation_range{0.5, 1.5};
    int64_t hue_delta = 18;
    void fields(Fields& f);
  };
  explicit PhotometricDistortion(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  Options options_;
};

}  // namespace dnc
