#include "plugins/transforms/auto_augment/rand_augment.h"

#include <algorithm>

#include "plugins/transforms/common/sample.h"
#include "registry/error.h"

namespace dnc {
namespace {

const std::vector<Operation>& timm_operations() {
  using enum Operation;
  static const std::vector<Operation> operations = {
      kAutoContrast, kEqualize,    kInvert, kRotate,     kPosterize,
      kSolarize,     kSolarizeAdd, kColor,  kContrast,   kBrightness,
      kSharpness,    kShearX,      kShearY, kTranslateX, kTranslateY};
  return operations;
}

}  // namespace

void RandAugment::Options::fields(Fields& f) {
  f.choice("form", form, {{"torchvision", Form::kTorchvision}, {"timm", Form::kTimm}},
           "Whose operations and strengths: torchvision's, magnitudes to 30, or timm's and "
           "mmcls's (increasing), to 10.");
  f("operations", operations, "How many follow each other.")
      .between(0, 100)
      .alias("num_ops")
      .alias("num_policies");
  f("magnitude", magnitude, "How strong they are.").between(0, 30).alias("magnitude_level");
  f("magnitude_std", magnitude_std,
    "Deviation of the magnitude, which stays between 0 and the largest.")
      .at_least(0);
  f("probability", probability,
    "Share of the images for each operation; 1 for torchvision and 0.5 for timm unless given.")
      .between(0, 1);
  moved.fields(f);
}

RandAugment::RandAugment(const Options& options) : options_(options) {
  const bool timm = options.form == Form::kTimm;
  largest_ = timm ? 10 : 30;
  probability_ = options.probability.value_or(timm ? 0.5 : 1);
  if (timm) {
    reach_ = {.translate = 0.45, .bits = 4, .fewer_bits = 4, .solarize = 256, .whole = false};
  }
  if (options.magnitude > largest_) {
    throw OptionError("magnitude", "must be at most 10 with 'form: timm'");
  }
  check_channels("fill", options.moved.fill);
}

std::vector<Augmentation> RandAugment::draw(const Sample& sample, Random& random) const {
  const auto& operations =
      options_.form == Form::kTimm ? timm_operations() : torchvision_operations();
  std::vector<Augmentation> drawn;
  for (int64_t i = 0; i < options_.operations; ++i) {
    const auto operation =
        operations[static_cast<size_t>(random.integer(0, static_cast<int64_t>(operations.size())))];
    if (!random.chance(probability_)) continue;
    double magnitude = options_.magnitude;
    if (options_.magnitude_std > 0) {
      magnitude = std::clamp(magnitude + options_.magnitude_std * random.normal(), 0.0, largest_);
    }
    drawn.push_back(draw_sign(operation, magnitude / largest_, reach_, sample, random));
  }
  return drawn;
}

void RandAugment::apply(Sample& sample, Random& random) const {
  for (const auto& each : draw(sample, random)) dnc::apply(each, sample, options_.moved);
}

}  // namespace dnc
