#include "plugins/datasets/wrappers/concat.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "registry/registry.h"

namespace dnc {
namespace {

// What keeps `other` from standing behind `first`, or nothing.
std::string difference(const Dataset& first, const Dataset& other) {
  if (other.task() != first.task()) {
    return "does not label the same as the first data set: one has a label for each image, the "
           "other for each pixel";
  }
  const auto& names = first.classes().names;
  const auto& others = other.classes().names;
  if (names.size() != others.size()) {
    return fmt::format("has {} classes, but the first data set has {}", others.size(),
                       names.size());
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == others[i]) continue;
    return fmt::format("calls class {} '{}', but the first data set calls it '{}'", i, others[i],
                       names[i]);
  }
  return "";
}

}  // namespace

void Concat::Options::fields(Fields& f) {
  f.components("datasets", datasets, "What is put together, in this order.")
      .required()
      .length(1, 10000);
}

Concat::Concat(const Options& options, const Context& context) {
  int64_t end = 0;
  for (const auto& slot : options.datasets) {
    parts_.push_back(slot.build(context));
    const auto differs = difference(*parts_.front(), *parts_.back());
    if (!differs.empty()) {
      slot.node().fail(differs + "; all need the same classes in the same order");
    }
    end += parts_.back()->size();
    ends_.push_back(end);
  }
}

Sample Concat::load(int64_t index) const {
  const auto place = find(index);
  auto sample = place.part.load(place.index);
  sample.index = index;
  return sample;
}

int64_t Concat::label(int64_t index) const {
  const auto place = find(index);
  return place.part.label(place.index);
}

std::vector<int64_t> Concat::shards() const {
  std::vector<int64_t> all;
  bool any = false;
  for (const auto& part : parts_) {
    const auto shards = part->shards();
    any = any || !shards.empty();
    all.insert(all.end(), shards.begin(), shards.end());
    if (shards.empty()) all.insert(all.end(), static_cast<size_t>(part->size()), 1);
  }
  return any ? all : std::vector<int64_t>();
}

std::string Concat::name(int64_t index) const {
  const auto place = find(index);
  return place.part.name(place.index);
}

Concat::Place Concat::find(int64_t index) const {
  if (index < 0 || index >= size()) throw std::out_of_range("Concat: no such sample");
  const auto part = std::upper_bound(ends_.begin(), ends_.end(), index) - ends_.begin();
  const int64_t begin = part == 0 ? 0 : ends_[static_cast<size_t>(part - 1)];
  return {*parts_[static_cast<size_t>(part)], index - begin};
}

}  // namespace dnc
