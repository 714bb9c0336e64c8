#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "plugins/datasets/common/labels.h"

namespace dnc {

/// Which members of a shard are the image and the label of a sample, by their suffixes.
struct SampleLayout {
  std::vector<std::string> images;  // "jpg", in lower case
  std::string json_key;             // where .json has the label; empty: the label is .cls
};

/// One sample of a shard.
struct ShardSample {
  std::string key;     // the name of its members up to the first dot
  int64_t offset = 0;  // of the image
  int64_t size = 0;
  int64_t label = -1;
  std::string
      fault;  // what keeps it from being loaded, or empty; begins with the shard and the key
};

/// What becomes of a tar file that cannot be read to its end: that is an error, or its samples up
/// to there are used and the rest of it, of unknown length, is one sample with a fault.
enum class DamagedShards { kRefuse, kUse };

/// The samples of a tar file in the layout of WebDataset: neighbouring members whose names are
/// equal up to the first dot behind the last slash. Only headers and labels are read. A sample
/// without image or label gets a fault; a shard without samples is a DataError. Members without a
/// suffix, or whose names begin with "__" or ".", belong to no sample.
std::vector<ShardSample> index_shard(const std::filesystem::path& path, const SampleLayout& layout,
                                     const LabelParser& labels, DamagedShards damaged);

}  // namespace dnc
