#include "plugins/transforms/auto_augment/operations.h"

#include <cmath>

#include "plugins/transforms/common/affine.h"
#include "plugins/transforms/common/photometric.h"
#include "plugins/transforms/common/sample.h"

namespace dnc {

bool has_sign(Operation operation) {
  return operation >= Operation::kShearX && operation <= Operation::kSharpness;
}

double argument_of(Operation operation, double strength, const Reach& reach, int64_t height,
                   int64_t width) {
  const auto pixels = [&](int64_t side) {
    const double most = reach.translate_pixels > 0 ? reach.translate_pixels
                                                   : reach.translate * static_cast<double>(side);
    return reach.whole ? std::trunc(most * strength) : most * strength;
  };
  switch (operation) {
    case Operation::kShearX:
    case Operation::kShearY:
      return reach.shear * strength;
    case Operation::kTranslateX:
      return pixels(width);
    case Operation::kTranslateY:
      return pixels(height);
    case Operation::kRotate:
      return reach.rotate * strength;
    case Operation::kBrightness:
    case Operation::kColor:
    case Operation::kContrast:
    case Operation::kSharpness:
      return reach.enhance * strength;
    case Operation::kPosterize:
      return reach.whole ? reach.bits - std::nearbyint(reach.fewer_bits * strength)
                         : std::ceil(reach.bits - reach.fewer_bits * strength);
    case Operation::kSolarize:
      return reach.solarize * (1 - strength);
    case Operation::kSolarizeAdd:
      return std::floor(110 * strength);
    default:
      return 0;
  }
}

Augmentation draw_sign(Operation operation, double strength, const Reach& reach,
                       const Sample& sample, Random& random) {
  const double argument =
      argument_of(operation, strength, reach, sample.image.height(), sample.image.width());
  return {operation, has_sign(operation) && random.chance(0.5) ? -argument : argument};
}

void MovedImage::fields(Fields& f) {
  f.choice("interpolation", interpolation,
           {{"nearest", Interpolation::kNearest},
            {"bilinear", Interpolation::kBilinear},
            {"bicubic", Interpolation::kBicubic}},
           "How moved images are sampled. Labels are always 'nearest'.");
  f("fill", fill, "Colour from beyond the edges: one number, or one each for red, green and blue.")
      .between(0, 255)
      .alias("pad_val");
}

void apply(const Augmentation& augmentation, Sample& sample, const MovedImage& moved) {
  const double argument = augmentation.argument;
  auto& image = sample.image;
  const auto move = [&](const Affine& affine) {
    warp(sample, affine, moved.interpolation, to_channels(moved.fill));
  };
  switch (augmentation.operation) {
    case Operation::kIdentity:
      return;
    case Operation::kShearX:
      return move(shear_x(argument));
    case Operation::kShearY:
      return move(shear_y(argument));
    case Operation::kTranslateX:
      return move(translate(argument, 0));
    case Operation::kTranslateY:
      return move(translate(0, argument));
    case Operation::kRotate:
      return move(rotate(argument, image.height(), image.width()));
    case Operation::kBrightness:
      return adjust_brightness(image, 1 + argument);
    case Operation::kColor:
      return adjust_saturation(image, 1 + argument);
    case Operation::kContrast:
      return adjust_contrast(image, 1 + argument);
    case Operation::kSharpness:
      return adjust_sharpness(image, 1 + argument);
    case Operation::kPosterize:
      return posterize(image, static_cast<int64_t>(argument));
    case Operation::kSolarize:
      return solarize(image, argument);
    case Operation::kSolarizeAdd:
      return solarize_add(image, static_cast<int64_t>(argument));
    case Operation::kAutoContrast:
      return auto_contrast(image);
    case Operation::kEqualize:
      return equalize(image);
    case Operation::kInvert:
      return invert(image);
  }
}

const std::vector<Operation>& torchvision_operations() {
  using enum Operation;
  static const std::vector<Operation> operations = {
      kIdentity, kShearX,   kShearY,    kTranslateX, kTranslateY, kRotate,       kBrightness,
      kColor,    kContrast, kSharpness, kPosterize,  kSolarize,   kAutoContrast, kEqualize};
  return operations;
}

}  // namespace dnc
