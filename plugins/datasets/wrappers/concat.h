#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "registry/context.h"
#include "registry/dataset.h"
#include "registry/fields.h"

namespace dnc {

/// Data sets of the same classes, one after the other.
class Concat final : public Dataset {
 public:
  struct Options {
    std::vector<Slot<Dataset>> datasets;
    void fields(Fields& f);
  };
  /// Throws ConfigError where two differ in their classes.
  Concat(const Options& options, const Context& context);

  int64_t size() const override { return ends_.back(); }
  Sample load(int64_t index) const override;
  const ClassInfo& classes() const override { return parts_.front()->classes(); }
  Task task() const override { return parts_.front()->task(); }
  int64_t label(int64_t index) const override;
  /// Those of the parts; of one that is read in any order each sample is a shard by itself, so that
  /// it is shuffled whole.
  std::vector<int64_t> shards() const override;
  std::string name(int64_t index) const override;

 private:
  struct Place {
    const Dataset& part;
    int64_t index;  // in it
  };
  Place find(int64_t index) const;

  std::vector<std::shared_ptr<const Dataset>> parts_;
  std::vector<int64_t> ends_;  // of each part
};

}  // namespace dnc
