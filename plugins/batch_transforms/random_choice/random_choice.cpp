#include "plugins/batch_transforms/random_choice/random_choice.h"

#include <fmt/format.h>

#include <numeric>

#include "registry/error.h"
#include "registry/registry.h"

namespace dnc {

void RandomBatchChoice::Options::fields(Fields& f) {
  f.components("transforms", transforms, "What there is to choose from.")
      .required()
      .alias("augments");
  f("probabilities", probabilities,
    "One for each of them, together at most 1; none: each is as likely as the others.")
      .between(0, 1)
      .alias("probs");
}

RandomBatchChoice::RandomBatchChoice(const Options& options, const Context& context)
    : probabilities_(options.probabilities) {
  const size_t count = options.transforms.size();
  if (count == 0) throw OptionError("transforms", "is empty; name one or more");
  if (probabilities_.empty()) probabilities_.assign(count, 1.0 / static_cast<double>(count));
  if (probabilities_.size() != count) {
    throw OptionError("probabilities", fmt::format("has {} numbers for {} transforms",
                                                   probabilities_.size(), count));
  }
  const double sum = std::accumulate(probabilities_.begin(), probabilities_.end(), 0.0);
  if (sum > 1 + 1e-9) {
    throw OptionError("probabilities", fmt::format("add up to {:.4g}; at most 1 can be", sum));
  }
  for (const auto& slot : options.transforms) transforms_.push_back(slot.build(context));
}

void RandomBatchChoice::apply(Batch& batch, Random& random) const {
  double left = random.uniform();
  for (size_t i = 0; i < transforms_.size(); ++i) {
    left -= probabilities_[i];
    if (left >= 0) continue;
    transforms_[i]->apply(batch, random);
    return;
  }
}

}  // namespace dnc
