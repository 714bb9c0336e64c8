#include "plugins/datasets/wrappers/repeat.h"

#include <stdexcept>

#include "registry/registry.h"

namespace dnc {

void Repeat::Options::fields(Fields& f) {
  f.component("dataset", dataset, "What is repeated.").required();
  f("times", times, "How often each sample comes in an epoch.").required().between(1, 1e6);
}

Repeat::Repeat(const Options& options, const Context& context)
    : source_(options.dataset.build(context)), times_(options.times) {}

Sample Repeat::load(int64_t index) const {
  auto sample = source_->load(source_index(index));
  sample.index = index;
  return sample;
}

std::vector<int64_t> Repeat::shards() const {
  const auto once = source_->shards();
  std::vector<int64_t> all;
  for (int64_t i = 0; i < times_; ++i) all.insert(all.end(), once.begin(), once.end());
  return all;
}

int64_t Repeat::source_index(int64_t index) const {
  if (index < 0 || index >= size()) throw std::out_of_range("Repeat: no such sample");
  return index % source_->size();
}

}  // namespace dnc
