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
///
/// With `task: pixels` a second class fills the picture from a random column on, and the label
/// image says which is where; the column between them is ignored.
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
    Task task = Task::kImages;
    void fields(Fields& f);
  };
  explicit SyntheticDataset(const Options& options);

  int64_t size() const override { return options_.length; }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  Task task() const override { return options_.task; }
  /// There is none for pixels: a picture has several.
  int64_t label(int64_t index) const override;
  std::string name(int64_t index) const override;

 private:
  Image label_image(int64_t left, int64_t right, int64_t border) const;

  Options options_;
  ClassInfo classes_;
};

}  // namespace dnc
