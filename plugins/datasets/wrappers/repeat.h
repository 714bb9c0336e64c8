#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/context.h"
#include "registry/dataset.h"
#include "registry/fields.h"

namespace dnc {

/// A data set several times over, as one long epoch: for small sets, whose epochs would be over in
/// a few steps. Each time a sample gets its own augmentation.
class Repeat final : public Dataset {
 public:
  struct Options {
    Slot<Dataset> dataset;
    int64_t times = 1;
    void fields(Fields& f);
  };
  Repeat(const Options& options, const Context& context);

  int64_t size() const override { return times_ * source_->size(); }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return source_->classes(); }
  Task task() const override { return source_->task(); }
  int64_t label(int64_t index) const override { return source_->label(source_index(index)); }
  std::vector<int64_t> shards() const override;
  std::string name(int64_t index) const override { return source_->name(source_index(index)); }

 private:
  int64_t source_index(int64_t index) const;

  std::shared_ptr<const Dataset> source_;
  int64_t times_;
};

}  // namespace dnc
