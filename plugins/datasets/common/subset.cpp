#include "plugins/datasets/common/subset.h"

#include <unordered_map>

namespace dnc {

Field& split_field(Fields& fields, DatasetSplit& split) {
  return fields.choice("split", split,
                       {{"train", DatasetSplit::kTrain}, {"test", DatasetSplit::kTest}},
                       "Which part of the data.");
}

void SubsetOptions::fields(Fields& f) {
  f("samples", samples, "Keep only the first samples, at most this many; 0 keeps all.").at_least(0);
  f("samples_per_class", samples_per_class,
    "Keep only the first samples of each class, at most this many; 0 keeps all.")
      .at_least(0);
}

std::vector<int64_t> select(const std::vector<int64_t>& labels, const SubsetOptions& options) {
  std::vector<int64_t> kept;
  std::unordered_map<int64_t, int64_t> counts;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (options.samples > 0 && static_cast<int64_t>(kept.size()) == options.samples) break;
    if (options.samples_per_class > 0 && counts[labels[i]]++ >= options.samples_per_class) continue;
    kept.push_back(static_cast<int64_t>(i));
  }
  return kept;
}

}  // namespace dnc
