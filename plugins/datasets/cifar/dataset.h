#pragma once

#include <cstdint>

#include "plugins/datasets/common/resident_dataset.h"
#include "registry/fields.h"

namespace dnc {

/// CIFAR-10 (Krizhevsky 2009): 32 x 32 RGB pictures, read once, from the binary files or those for
/// Python, whichever are there. The files lie in `root` or in its folder cifar-10-batches-bin or
/// cifar-10-batches-py, as the archives unpack.
class Cifar10 final : public ResidentDataset {
 public:
  struct Options {
    Path root;
    DatasetSplit split = DatasetSplit::kTrain;
    int64_t batches = 5;
    SubsetOptions subset;
    void fields(Fields& f);
  };
  explicit Cifar10(const Options& options);
};

/// CIFAR-100, the same with two labels: one of 100 classes, and one of 20 groups of them.
class Cifar100 final : public ResidentDataset {
 public:
  enum class Labels { kFine, kCoarse };
  struct Options {
    Path root;
    DatasetSplit split = DatasetSplit::kTrain;
    Labels labels = Labels::kFine;
    SubsetOptions subset;
    void fields(Fields& f);
  };
  explicit Cifar100(const Options& options);
};

}  // namespace dnc
