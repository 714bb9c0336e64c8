#pragma once

#include <optional>
#include <vector>

#include "plugins/transforms/auto_augment/operations.h"
#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Some operations of one strength (Cubuk et al. 2020, "RandAugment").
///
/// Form `torchvision`: 14 operations, magnitudes up to 30, as its RandAugment on PIL images.
/// Form `timm`: 15 operations, magnitudes up to 10, each for half of the images, stronger with the
/// magnitude: timm's `rand-mM-mstdS-inc1` and the `rand_increasing_policies` of mmcls.
class RandAugment final : public Transform {
 public:
  enum class Form { kTorchvision, kTimm };
  struct Options {
    Form form = Form::kTorchvision;
    int64_t operations = 2;
    double magnitude = 9;
    double magnitude_std = 0;
    std::optional<double> probability;
    MovedImage moved;
    void fields(Fields& f);
  };
  /// Throws OptionError for a magnitude beyond the form's, and for a fill of two numbers.
  explicit RandAugment(const Options& options);

  void apply(Sample& sample, Random& random) const override;
  /// What apply() does to an image, drawn at random.
  std::vector<Augmentation> draw(const Sample& sample, Random& random) const;

 private:
  Options options_;
  double probability_;
  double largest_;  // magnitude
  Reach reach_;
};

}  // namespace dnc
