#pragma once

#include <cstdint>

#include "plugins/datasets/common/subset.h"
#include "registry/dataset.h"
#include "registry/fields.h"

namespace dnc {

/// Pictures that are drawn, not read: for tests, and to try a network without data. Each shows
/// rings about a random point with noise; the class sets how wide the rings are and their colour.
/// Rings stay what they are when a picture is mirrored or cropped. Sample i has label i % classes
/// and is a pure function of (seed, split, i).
class SyntheticDataset final : public Dataset {
 public:
  struct Options {
    int64_t length = 1000;
    int64_t classes = 10;
    int64_t size = 32;
    int64_t channels = 3;
    double noise = 0.2;
    int64_t seed = 0;
    DatasetSplit split = DatasetSplit::kTrain;
    void fields(Fields& f);
  };
  explicit SyntheticDataset(const Options& options);

  int64_t size() const override { return options_.length; }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  std::string name(int64_t index) const override;

 private:
  Options options_;
  ClassInfo classes_;
};

}  // namespace dnc
