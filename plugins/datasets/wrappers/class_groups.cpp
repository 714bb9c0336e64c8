#include "plugins/datasets/wrappers/class_groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "registry/error.h"
#include "registry/registry.h"

namespace dnc {

void ClassGroups::Group::fields(Fields& f) {
  f("name", name, "Of the group: the class that is learnt.").required();
  f("classes", classes, "Those of the data set that belong to it.").required();
}

void ClassGroups::Options::fields(Fields& f) {
  f.component("dataset", dataset, "The data set, with its fine labels.").required();
  f.list("groups", groups, "Each class of the data set is in one of them.").required();
}

ClassGroups::ClassGroups(const Options& options, const Context& context)
    : source_(options.dataset.build(context)) {
  if (source_->task() == Task::kPixels) {
    throw OptionError("dataset", "must have one label for each image; this one labels pixels");
  }
  const auto& names = source_->classes().names;
  groups_.assign(names.size(), -1);
  for (const auto& group : options.groups) {
    const auto number = classes_.size();
    classes_.names.push_back(group.name);
    for (const auto& name : group.classes) {
      const auto found = std::ranges::find(names, name);
      if (found == names.end()) {
        throw OptionError("groups", fmt::format("'{}' has '{}', which is no class of the data set",
                                                group.name, name));
      }
      auto& own = groups_[static_cast<size_t>(found - names.begin())];
      if (own >= 0) throw OptionError("groups", fmt::format("'{}' is named twice", name));
      own = number;
    }
  }
  const auto without = std::ranges::find(groups_, -1);
  if (without != groups_.end()) {
    throw OptionError("groups", fmt::format("'{}' is in none of them",
                                            names[static_cast<size_t>(without - groups_.begin())]));
  }
}

Sample ClassGroups::load(int64_t index) const {
  auto sample = source_->load(index);
  sample.label = group_of(sample.label);
  return sample;
}

int64_t ClassGroups::group_of(int64_t label) const {
  if (label < 0) return label;  // of no class
  // One beyond the classes is damaged data, and stays beyond them: who reads it says so.
  const auto known = static_cast<size_t>(label) < groups_.size();
  return known ? groups_[static_cast<size_t>(label)] : classes_.size();
}

}  // namespace dnc
