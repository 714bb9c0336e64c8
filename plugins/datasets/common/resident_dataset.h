#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/datasets/common/subset.h"
#include "registry/dataset.h"

namespace dnc {

/// Labelled pictures of one size, and the classes that their labels stand for.
struct Pictures {
  /// Consecutive pictures that come from one file.
  struct File {
    std::string name;
    int64_t count = 0;
  };

  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  std::vector<uint8_t> pixels;  // [n, height, width, channels]
  std::vector<int64_t> labels;  // [n]
  std::vector<File> files;      // in order; the counts sum to n
  ClassInfo classes;
};

/// A small data set that is read once and stays in memory, so that load() only copies.
class ResidentDataset : public Dataset {
 public:
  int64_t size() const override;
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override;
  int64_t label(int64_t index) const override;
  /// "data_batch_1.bin #17": the file and the number of the picture in it, from 0.
  std::string name(int64_t index) const override;

 protected:
  ResidentDataset(Pictures pictures, const SubsetOptions& subset);

 private:
  Pictures pictures_;
  std::vector<int64_t> kept_;  // positions in pictures_ of the samples that count
};

}  // namespace dnc
