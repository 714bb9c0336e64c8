#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/context.h"
#include "registry/dataset.h"
#include "registry/fields.h"

namespace dnc {

/// A data set under coarser labels: each of its classes belongs to one group, and the groups are
/// the classes. Samples, their order and their names stay. For images. What it is for: to learn
/// from coarse labels and see whether the fine ones are found (`dnc-host subcategories`).
class ClassGroups final : public Dataset {
 public:
  struct Group {
    std::string name;
    std::vector<std::string> classes;
    void fields(Fields& f);
  };
  struct Options {
    Slot<Dataset> dataset;
    std::vector<Group> groups;
    void fields(Fields& f);
  };
  /// Throws OptionError where a class is in no group or in two, or where a group names a class that
  /// the data set does not have.
  ClassGroups(const Options& options, const Context& context);

  int64_t size() const override { return source_->size(); }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return classes_; }
  int64_t label(int64_t index) const override { return group_of(source_->label(index)); }
  std::vector<int64_t> shards() const override { return source_->shards(); }
  std::string name(int64_t index) const override { return source_->name(index); }

 private:
  int64_t group_of(int64_t label) const;

  std::shared_ptr<const Dataset> source_;
  ClassInfo classes_;
  std::vector<int64_t> groups_;  // by class of the source
};

}  // namespace dnc
