#include "plugins/datasets/wrappers/subset.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "plugins/datasets/common/files.h"
#include "registry/error.h"
#include "registry/random.h"
#include "registry/registry.h"

namespace dnc {
namespace {

// Moves `count` random items to the front and drops the others (Fisher and Yates). `stream` tells
// draws with one seed apart.
void keep_random(std::vector<int64_t>& items, int64_t count, int64_t seed, int64_t stream) {
  const auto size = static_cast<int64_t>(items.size());
  if (count >= size) return;
  Random random(static_cast<uint64_t>(seed), Purpose::kSample, 0, static_cast<uint64_t>(stream));
  for (int64_t i = 0; i < count; ++i) {
    std::swap(items[static_cast<size_t>(i)], items[static_cast<size_t>(random.integer(i, size))]);
  }
  items.resize(static_cast<size_t>(count));
}

std::vector<int64_t> draw_fraction(int64_t size, double fraction, int64_t seed) {
  std::vector<int64_t> all(static_cast<size_t>(size));
  std::iota(all.begin(), all.end(), int64_t{0});
  keep_random(all, std::llround(fraction * static_cast<double>(size)), seed, 0);
  return all;
}

// Samples without a label are of no class, and are left out.
std::vector<int64_t> draw_per_class(const Dataset& source, int64_t count, int64_t seed) {
  if (source.task() == Task::kPixels) {
    throw OptionError("per_class",
                      "needs one label for each image, but this data set labels pixels");
  }
  std::vector<std::vector<int64_t>> of_class(static_cast<size_t>(source.classes().size()));
  for (int64_t i = 0; i < source.size(); ++i) {
    const int64_t label = source.label(i);
    if (label >= 0) of_class.at(static_cast<size_t>(label)).push_back(i);
  }
  std::vector<int64_t> kept;
  for (size_t label = 0; label < of_class.size(); ++label) {
    keep_random(of_class[label], count, seed, static_cast<int64_t>(label));
    kept.insert(kept.end(), of_class[label].begin(), of_class[label].end());
  }
  return kept;
}

// One number a line.
std::vector<int64_t> read_indices(const Path& file) {
  std::vector<int64_t> indices;
  size_t number = 0;
  for (const auto& line : read_lines(file.value, "expected a text file with one index a line")) {
    ++number;
    if (line.empty()) continue;
    int64_t index = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), index);
    if (error != std::errc() || end != line.data() + line.size()) {
      throw DataError(fmt::format("{}:{}: '{}' is no index of a sample; expected one number a line",
                                  file.value, number, line.substr(0, 200)));
    }
    indices.push_back(index);
  }
  if (indices.empty()) throw DataError(file.value + ": empty; expected one index a line");
  return indices;
}

// Throws for `option` where an index is not in the data set, or comes twice. `indices` are sorted.
void check_indices(const std::vector<int64_t>& indices, int64_t size, const std::string& option) {
  for (const int64_t index : {indices.front(), indices.back()}) {
    if (index < 0 || index >= size) {
      throw OptionError(option, fmt::format("names sample {}, but the data set has {} (0 to {})",
                                            index, size, size - 1));
    }
  }
  const auto twice = std::adjacent_find(indices.begin(), indices.end());
  if (twice != indices.end()) {
    throw OptionError(option, fmt::format("names sample {} twice", *twice));
  }
}

std::vector<int64_t> choose(const Subset::Options& options, const Dataset& source) {
  std::vector<std::string> given;
  if (options.fraction) given.emplace_back("fraction");
  if (options.per_class) given.emplace_back("per_class");
  if (!options.indices.empty()) given.emplace_back("indices");
  if (!options.index_file.empty()) given.emplace_back("index_file");
  if (given.empty()) {
    throw OptionError("fraction", "is missing: give it, per_class, indices or index_file");
  }
  if (given.size() > 1) {
    throw OptionError(given[1], fmt::format("is given beside `{}`; leave one out", given[0]));
  }
  std::vector<int64_t> kept;
  if (options.fraction) {
    kept = draw_fraction(source.size(), *options.fraction, options.seed);
  } else if (options.per_class) {
    kept = draw_per_class(source, *options.per_class, options.seed);
  } else {
    kept = options.indices.empty() ? read_indices(options.index_file) : options.indices;
  }
  std::sort(kept.begin(), kept.end());
  if (!kept.empty()) {
    check_indices(kept, source.size(), options.index_file.empty() ? "indices" : "index_file");
  }
  return kept;
}

}  // namespace

void Subset::Options::fields(Fields& f) {
  f.component("dataset", dataset, "What the samples are taken from.").required();
  f("fraction", fraction, "Keep this share of the samples, drawn at random.").above(0).at_most(1);
  f("per_class", per_class,
    "Keep so many samples of each class, drawn at random; all of a class that has fewer.")
      .at_least(1);
  f("indices", indices, "Keep these samples, counted from 0.");
  f("index_file", index_file, "The same from a text file, one number a line.");
  f("seed", seed, "Decides which samples are drawn.").at_least(0);
}

Subset::Subset(const Options& options, const Context& context)
    : Subset(options, options.dataset.build(context)) {}

Subset::Subset(const Options& options, std::shared_ptr<const Dataset> source)
    : View(source, choose(options, *source)) {}

}  // namespace dnc
