#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/dataset.h"

namespace dnc {

/// Samples of another data set, some of them left out or there several times: sample i is sample
/// indices[i] of `source`. They stay in the order in which they are stored, so that what is read
/// best in order still is.
class View : public Dataset {
 public:
  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return source_->classes(); }
  Task task() const override { return source_->task(); }
  int64_t label(int64_t index) const override { return source_->label(source_index(index)); }
  /// The parts of the source, with the number of samples that each has here; empty ones left out.
  std::vector<int64_t> shards() const override;
  std::string name(int64_t index) const override { return source_->name(source_index(index)); }

 protected:
  /// `indices` do not fall.
  View(std::shared_ptr<const Dataset> source, std::vector<int64_t> indices);

 private:
  int64_t source_index(int64_t index) const { return indices_.at(static_cast<size_t>(index)); }

  std::shared_ptr<const Dataset> source_;
  std::vector<int64_t> indices_;
};

}  // namespace dnc
