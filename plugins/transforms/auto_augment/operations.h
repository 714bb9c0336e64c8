#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "registry/dataset.h"
#include "registry/fields.h"
#include "registry/image.h"
#include "registry/random.h"

namespace dnc {

/// What the automatic augmentations choose from (Cubuk et al. 2019, "AutoAugment", table 6).
enum class Operation {
  kIdentity,
  kShearX,
  kShearY,
  kTranslateX,
  kTranslateY,
  kRotate,
  kBrightness,
  kColor,
  kContrast,
  kSharpness,
  kPosterize,
  kSolarize,
  kSolarizeAdd,
  kAutoContrast,
  kEqualize,
  kInvert,
};

/// How far operations go at strength 1; at 0 they change little or nothing.
struct Reach {
  double shear = 0.3;
  double translate = 150.0 / 331.0;  // of the image's side
  double translate_pixels = 0;       // instead of it, where above 0
  double rotate = 30;                // degrees
  double enhance = 0.9;              // factors are 1 - enhance to 1 + enhance
  double bits = 8;                   // that posterize keeps at strength 0
  double fewer_bits = 4;             // that it takes away
  double solarize = 255;             // its threshold at strength 0
  bool whole = true;  // whole pixels and the nearest number of bits (torchvision); else
                      // parts of pixels, and bits rounded up (timm, mmcls)
};

/// An operation with its argument: shear, pixels, degrees, change of a factor, bits or a threshold.
struct Augmentation {
  Operation operation = Operation::kIdentity;
  double argument = 0;
};

/// Whether half of its images go the other way.
bool has_sign(Operation operation);

/// The argument, without sign, for a strength from 0 to 1 and an image of this size.
double argument_of(Operation operation, double strength, const Reach& reach, int64_t height,
                   int64_t width);

/// argument_of(), with a random sign where the operation has one.
Augmentation draw_sign(Operation operation, double strength, const Reach& reach,
                       const Sample& sample, Random& random);

/// What moved images look like.
struct MovedImage {
  Interpolation interpolation = Interpolation::kNearest;
  std::vector<double> fill = {0};
  /// The options `interpolation` and `fill`.
  void fields(Fields& f);
};

/// Changes an image of bytes, and its labels where pixels move, as torchvision's and timm's
/// operations on PIL images do.
void apply(const Augmentation& augmentation, Sample& sample, const MovedImage& moved);

/// The 14 operations of torchvision's RandAugment and TrivialAugmentWide.
const std::vector<Operation>& torchvision_operations();

}  // namespace dnc
