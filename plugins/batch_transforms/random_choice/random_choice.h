#pragma once

#include <memory>
#include <vector>

#include "registry/batch_transform.h"
#include "registry/context.h"
#include "registry/fields.h"
#include "registry/slot.h"

namespace dnc {

/// One of several batch transforms for each batch, or none: with probabilities that add up to less
/// than 1 the rest is left as it is. Mixup and CutMix with 0.5 each is what DeiT, Swin and ConvNeXt
/// were trained with (timm's switch_prob, mmpretrain's RandomBatchAugment).
class RandomBatchChoice final : public BatchTransform {
 public:
  struct Options {
    std::vector<Slot<BatchTransform>> transforms;
    std::vector<double> probabilities;
    void fields(Fields& f);
  };
  /// Throws OptionError for probabilities that do not fit.
  RandomBatchChoice(const Options& options, const Context& context);

  void apply(Batch& batch, Random& random) const override;

 private:
  std::vector<std::shared_ptr<BatchTransform>> transforms_;
  std::vector<double> probabilities_;
};

}  // namespace dnc
