#include "plugins/datasets/web_dataset/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <exception>
#include <set>
#include <thread>
#include <utility>

#include "plugins/datasets/common/labels.h"
#include "plugins/datasets/web_dataset/shard_names.h"
#include "plugins/datasets/web_dataset/tar_reader.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr size_t kThreads = 8;  // enough for the waiting times of disks and networks to overlap

std::vector<std::string> find_shards(const std::vector<Path>& patterns) {
  std::vector<std::string> files;
  std::set<std::string> seen;
  for (const auto& pattern : patterns) {
    for (auto& file : expand_braces(pattern.value)) {
      if (!seen.insert(file).second) {
        throw OptionError("shards", fmt::format("names {} twice", file));
      }
      files.push_back(std::move(file));
    }
  }
  return files;
}

SampleLayout layout_of(const WebDataset::Options& options) {
  SampleLayout layout;
  layout.json_key = options.json_key;
  for (auto suffix : options.images) {
    if (suffix.starts_with('.')) suffix.erase(0, 1);
    for (auto& c : suffix) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    layout.images.push_back(std::move(suffix));
  }
  return layout;
}

// All shards, several at once. Of those that are damaged the first one's error is thrown.
std::vector<std::vector<ShardSample>> index_shards(const std::vector<std::string>& files,
                                                   const SampleLayout& layout,
                                                   const LabelParser& labels,
                                                   DamagedShards damaged) {
  std::vector<std::vector<ShardSample>> shards(files.size());
  std::vector<std::exception_ptr> errors(files.size());
  std::atomic<size_t> next = 0;
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < std::min(kThreads, files.size()); ++i) {
      threads.emplace_back([&] {
        for (size_t shard = next++; shard < files.size(); shard = next++) {
          try {
            shards[shard] = index_shard(files[shard], layout, labels, damaged);
          } catch (...) {
            errors[shard] = std::current_exception();
          }
        }
      });
    }
  }
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return shards;
}

}  // namespace

void WebDataset::Options::fields(Fields& f) {
  f("shards", shards, "Tar files; train-{000..146}.tar stands for 147 of them.")
      .required()
      .length(1, 1'000'000);
  f("images", images, "Suffixes of the members that are images.").length(1, 100);
  f("json_key", json_key,
    "The label is this key of the member .json; empty: it is the number in the member .cls.");
  f("classes", classes,
    "Names of the classes in the order of their labels; without them labels are numbers.");
  f("class_file", class_file, "The same from a text file, one name a line.");
  f.choice("damaged_shards", damaged_shards,
           {{"refuse", DamagedShards::kRefuse}, {"use", DamagedShards::kUse}},
           "A tar file that ends early or has a damaged header is an error at the start; or its "
           "samples up to there are used, and the rest counts as one damaged sample of "
           "data.max_bad_samples.");
}

WebDataset::WebDataset(const Options& options, const Context& context)
    : images_(*context.images), files_(find_shards(options.shards)) {
  classes_.names = class_names(options.classes, options.class_file);
  auto shards =
      index_shards(files_, layout_of(options), LabelParser(classes_.names), options.damaged_shards);
  int64_t largest = -1;
  for (size_t shard = 0; shard < shards.size(); ++shard) {
    for (auto& sample : shards[shard]) {
      if (!sample.fault.empty()) {
        faults_.emplace(size(), std::move(sample.fault));
        sample.label = -1;
      }
      largest = std::max(largest, sample.label);
      samples_.push_back({std::move(sample.key), static_cast<int64_t>(shard), sample.offset,
                          sample.size, sample.label});
    }
    shards[shard] = {};
  }
  if (classes_.names.empty()) classes_.names = numbered_classes(largest + 1);
  if (classes_.names.empty()) throw DataError(faults_.begin()->second);  // not one good sample
}

Sample WebDataset::load(int64_t index) const {
  const auto& entry = at(index);
  const auto fault = faults_.find(index);
  if (fault != faults_.end()) throw DataError(fault->second);
  // Opened anew each time, as a file of an image is: there may be more shards than open files.
  const ShardFile file(files_[static_cast<size_t>(entry.shard)]);
  if (entry.offset + entry.size > file.size()) {
    throw DataError(name(index) + ": the tar file became shorter since it was opened");
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(entry.size));
  file.read(entry.offset, bytes.data(), entry.size);
  Sample sample;
  sample.index = index;
  sample.label = entry.label;
  sample.image = images_.open(std::move(bytes), name(index));
  return sample;
}

std::vector<int64_t> WebDataset::shards() const {
  std::vector<int64_t> sizes(files_.size());
  for (const auto& sample : samples_) ++sizes[static_cast<size_t>(sample.shard)];
  return sizes;
}

std::string WebDataset::name(int64_t index) const {
  const auto& entry = at(index);
  return fmt::format("{}: {}", files_[static_cast<size_t>(entry.shard)], entry.key);
}

}  // namespace dnc
