#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "plugins/datasets/web_dataset/shard_index.h"
#include "registry/context.h"
#include "registry/dataset.h"
#include "registry/fields.h"

namespace dnc {

/// Images and labels in tar files, in the layout of WebDataset (github.com/webdataset): the members
/// 0001.jpg and 0001.cls are one sample. The files are gone through once, from header to header,
/// when the data set is built; then a sample is read at its place. A file may be read on while a
/// run goes on, but not changed.
class WebDataset final : public Dataset {
 public:
  struct Options {
    std::vector<Path> shards;
    std::vector<std::string> images{"jpg", "jpeg", "png", "webp"};
    std::string json_key;
    std::vector<std::string> classes;
    Path class_file;
    DamagedShards damaged_shards = DamagedShards::kRefuse;
    void fields(Fields& f);
  };
  WebDataset(const Options& options, const Context& context);

  int64_t size() const override { return static_cast<int64_t>(samples_.size()); }
  /// Throws DataError for a sample without image or label, or with a wrong one.
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  int64_t label(int64_t index) const override { return at(index).label; }
  /// Samples of each tar file.
  std::vector<int64_t> shards() const override;
  /// "train-000.tar: n01/0001", for the damaged rest of a file "train-000.tar: at byte 1024", with
  /// the whole path of the file.
  std::string name(int64_t index) const override;

 private:
  struct Entry {
    std::string key;
    int64_t shard = 0;
    int64_t offset = 0;  // of the image
    int64_t size = 0;
    int64_t label = -1;
  };
  const Entry& at(int64_t index) const { return samples_.at(static_cast<size_t>(index)); }

  const ImageReader& images_;
  std::vector<std::string> files_;
  std::vector<Entry> samples_;
  std::map<int64_t, std::string> faults_;  // by index, of samples that cannot be loaded
  ClassInfo classes_;
};

}  // namespace dnc
