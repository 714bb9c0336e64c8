#pragma once

#include "plugins/datasets/wrappers/view.h"
#include "registry/context.h"
#include "registry/fields.h"

namespace dnc {

/// Repeats samples of rare classes (Gupta et al., "LVIS", CVPR 2019, "repeat factor sampling", as
/// mmcls's ClassBalancedDataset): a class that is the share f of the samples has the factor
/// r = max(1, sqrt(oversample_thr / f)), and each of its samples is there ceil(r) times. Each time
/// it is a sample of its own, with its own augmentation.
class ClassBalanced final : public View {
 public:
  struct Options {
    Slot<Dataset> dataset;
    double oversample_thr = 0;
    void fields(Fields& f);
  };
  ClassBalanced(const Options& options, const Context& context);

 private:
  ClassBalanced(const Options& options, std::shared_ptr<const Dataset> source);
};

}  // namespace dnc
