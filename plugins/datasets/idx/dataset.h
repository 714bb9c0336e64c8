#pragma once

#include <string>
#include <vector>

#include "plugins/datasets/common/resident_dataset.h"
#include "registry/fields.h"

namespace dnc {

/// Pictures in the four IDX files of MNIST, [28, 28, 1] there, any size here; read once, plain or
/// .gz. They lie in `root` itself or where torchvision puts them (MNIST/raw/).
class IdxDataset : public ResidentDataset {
 public:
  struct Options {
    Path root;
    DatasetSplit split = DatasetSplit::kTrain;
    std::vector<std::string> classes;
    SubsetOptions subset;

   protected:
    void common_fields(Fields& f);
  };

  /// `folder` is torchvision's name for the data set; `advice` says where its files are to be had.
  IdxDataset(const Options& options, const std::string& folder, const std::string& advice);
};

/// The handwritten digits of LeCun et al. (1998): 60,000 training and 10,000 test pictures. Reads
/// all that comes in the same files (EMNIST, KMNIST, ...) where `classes` names its classes.
class Mnist final : public IdxDataset {
 public:
  struct Options : IdxDataset::Options {
    Options();
    void fields(Fields& f);
  };
  explicit Mnist(const Options& options);
};

/// Fashion-MNIST (Xiao et al. 2017): clothes, 60,000 training and 10,000 test pictures.
class FashionMnist final : public IdxDataset {
 public:
  struct Options : IdxDataset::Options {
    Options();
    void fields(Fields& f);
  };
  explicit FashionMnist(const Options& options);
};

}  // namespace dnc
