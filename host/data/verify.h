#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "registry/dataset.h"

namespace dnc {

/// Something about one sample that a person should look at.
struct DataFinding {
  int64_t index = 0;
  std::string text;  // begins with the sample's name
};

/// What a look at every sample of a data set found. Findings are in the order of the samples.
struct DataReport {
  int64_t samples = 0;
  /// Cannot be read or decoded, or has a label beyond the classes: training would stop here.
  std::vector<DataFinding> broken;
  /// Can be learned from, but perhaps should not be: a label image without a labelled pixel or of
  /// another size than its image, an image of one colour, a copy of an earlier sample.
  std::vector<DataFinding> suspicious;
  std::vector<int64_t> class_counts;  // samples of each class, or pixels of label images
  int64_t ignored = 0;                // samples or pixels without a label
  int64_t smallest_side = 0;          // of all images, in pixels
  int64_t largest_side = 0;
  std::vector<uint64_t> fingerprints;  // of each sample's pixels; 0 where it is broken
};

/// Loads and decodes every sample, on `workers` threads (at least 1). `progress` is told, now and
/// then and from any thread, how many are done.
DataReport verify(const Dataset& dataset, int64_t workers,
                  const std::function<void(int64_t done)>& progress);

/// Samples of `second` whose image is in `first`, too, each with a text that names both.
std::vector<DataFinding> find_shared(const Dataset& first, const DataReport& first_report,
                                     const Dataset& second, const DataReport& second_report);

}  // namespace dnc
