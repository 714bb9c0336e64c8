#pragma once

#include <vector>

#include "plugins/transforms/auto_augment/operations.h"
#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// One of 25 pairs of operations that were searched for a data set (Cubuk et al. 2019,
/// "AutoAugment"), as torchvision's AutoAugment on PIL images.
class AutoAugment final : public Transform {
 public:
  enum class Policy { kImageNet, kCifar10, kSvhn };
  struct Options {
    Policy policy = Policy::kImageNet;
    MovedImage moved;
    void fields(Fields& f);
  };
  /// Throws OptionError for a fill of two numbers.
  explicit AutoAugment(const Options& options);

  void apply(Sample& sample, Random& random) const override;
  /// What apply() does to an image, drawn at random.
  std::vector<Augmentation> draw(const Sample& sample, Random& random) const;

 private:
  Options options_;
};

}  // namespace dnc
