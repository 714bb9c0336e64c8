#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"

namespace dnc {

/// The part of a data set that is meant for training, or the one that is kept for testing.
enum class DatasetSplit { kTrain, kTest };

/// The option `split` of a data set that comes in two parts.
Field& split_field(Fields& fields, DatasetSplit& split);

/// Options that shorten a data set, for a quick run. The same samples every time.
struct SubsetOptions {
  int64_t samples = 0;
  int64_t samples_per_class = 0;
  void fields(Fields& f);
};

/// Positions of the samples that are kept, ascending, given the label of each.
std::vector<int64_t> select(const std::vector<int64_t>& labels, const SubsetOptions& options);

}  // namespace dnc
