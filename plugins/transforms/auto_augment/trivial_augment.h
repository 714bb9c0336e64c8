#pragma once

#include "plugins/transforms/auto_augment/operations.h"
#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// One operation of any strength (Mueller and Hutter 2021, "TrivialAugment"), as torchvision's
/// TrivialAugmentWide on PIL images.
class TrivialAugment final : public Transform {
 public:
  struct Options {
    MovedImage moved;
    void fields(Fields& f);
  };
  /// Throws OptionError for a fill of two numbers.
  explicit TrivialAugment(const Options& options);

  void apply(Sample& sample, Random& random) const override;
  /// What apply() does to an image, drawn at random.
  Augmentation draw(const Sample& sample, Random& random) const;

 private:
  Options options_;
};

}  // namespace dnc
