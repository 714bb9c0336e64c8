#pragma once

#include <cstdint>

#include "plugins/datasets/common/resident_dataset.h"
#include "registry/fields.h"

namespace dnc {

/// CIFAR-10 (Krizhevsky 2009) from its binary files: 32 x 32 RGB pictures, read once. A record is
/// a label and 3 planes of 32 x 32 bytes. The files lie in `root` or in its folder
/// cifar-10-batches-bin, as the archive unpacks.
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
