#include "plugins/datasets/wrappers/class_balanced.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "registry/error.h"
#include "registry/registry.h"

namespace dnc {
namespace {

std::vector<int64_t> repeat_rare(const Dataset& source, double threshold) {
  if (source.task() == Task::kPixels) {
    throw OptionError("dataset", "must have one label for each image; this one labels pixels");
  }
  std::vector<int64_t> labels;
  std::vector<int64_t> counts(static_cast<size_t>(source.classes().size()));
  for (int64_t i = 0; i < source.size(); ++i) {
    labels.push_back(source.label(i));
    if (labels.back() >= 0) ++counts.at(static_cast<size_t>(labels.back()));
  }
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < source.size(); ++i) {
    const int64_t label = labels[static_cast<size_t>(i)];
    double factor = 1;  // also of a sample without a label
    if (label >= 0) {
      const auto share = static_cast<double>(counts[static_cast<size_t>(label)]) /
                         static_cast<double>(source.size());
      factor = std::max(1.0, std::sqrt(threshold / share));
    }
    indices.insert(indices.end(), static_cast<size_t>(std::ceil(factor)), i);
  }
  return indices;
}

}  // namespace

void ClassBalanced::Options::fields(Fields& f) {
  f.component("dataset", dataset, "What is repeated.").required();
  f("oversample_thr", oversample_thr,
    "Share of the samples below which a class counts as rare; usual is 0.001.")
      .required()
      .above(0)
      .at_most(1);
}

ClassBalanced::ClassBalanced(const Options& options, const Context& context)
    : ClassBalanced(options, options.dataset.build(context)) {}

ClassBalanced::ClassBalanced(const Options& options, std::shared_ptr<const Dataset> source)
    : View(source, repeat_rare(*source, options.oversample_thr)) {}

}  // namespace dnc
