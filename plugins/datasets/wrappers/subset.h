#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "plugins/datasets/wrappers/view.h"
#include "registry/context.h"
#include "registry/fields.h"

namespace dnc {

/// Some samples of a data set: given ones, a random share, or a few of each class (few-shot
/// learning). Which ones are drawn depends on `seed` alone, not on the seed of the run, so that
/// runs with several seeds learn from the same samples.
class Subset final : public View {
 public:
  struct Options {
    Slot<Dataset> dataset;
    std::vector<int64_t> indices;
    Path index_file;
    std::optional<double> fraction;
    std::optional<int64_t> per_class;
    int64_t seed = 0;
    void fields(Fields& f);
  };
  Subset(const Options& options, const Context& context);

 private:
  Subset(const Options& options, std::shared_ptr<const Dataset> source);
};

}  // namespace dnc
