#include "host/data/named_classes.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "host/files.h"
#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxList = 1 << 30;  // bytes
constexpr uint8_t kIgnoredPixel = 255;

std::vector<int64_t> labels_by_name(const ClassInfo& from, const ClassInfo& to) {
  std::vector<int64_t> labels;
  for (const auto& name : from.names) {
    const auto found = std::find(to.names.begin(), to.names.end(), name);
    labels.push_back(found == to.names.end() ? kIgnoredLabel : found - to.names.begin());
  }
  return labels;
}

}  // namespace

NamedClasses::NamedClasses(std::shared_ptr<const Dataset> source, ClassInfo classes,
                           const std::vector<ClassFiles>& further, const ImageReader& images)
    : source_(std::move(source)),
      classes_(std::move(classes)),
      label_of_(labels_by_name(source_->classes(), classes_)),
      images_(images) {
  pixel_of_.fill(kIgnoredPixel);
  for (size_t i = 0; i < std::min<size_t>(label_of_.size(), kIgnoredPixel); ++i) {
    if (label_of_[i] >= 0) pixel_of_[i] = static_cast<uint8_t>(label_of_[i]);
  }
  for (const auto& each : further) {
    files_.insert(files_.end(), each.files.begin(), each.files.end());
    labels_.resize(files_.size(), each.label);
  }
}

int64_t NamedClasses::size() const { return source_->size() + static_cast<int64_t>(files_.size()); }

int64_t NamedClasses::mapped(int64_t label) const {
  const bool known = label >= 0 && label < static_cast<int64_t>(label_of_.size());
  return known ? label_of_[static_cast<size_t>(label)] : kIgnoredLabel;
}

Sample NamedClasses::load(int64_t index) const {
  if (index >= source_->size()) {
    const auto file = static_cast<size_t>(index - source_->size());
    return image_sample(images_, files_[file], index, labels_[file]);
  }
  auto sample = source_->load(index);
  if (task() == Task::kImages) {
    sample.label = mapped(sample.label);
    return sample;
  }
  auto* const pixels = sample.labels.pixels();
  std::transform(pixels, pixels + sample.labels.size(), pixels,
                 [&](uint8_t label) { return pixel_of_[label]; });
  return sample;
}

int64_t NamedClasses::label(int64_t index) const {
  if (index < source_->size()) return mapped(source_->label(index));
  return labels_[static_cast<size_t>(index - source_->size())];
}

std::vector<int64_t> NamedClasses::shards() const {
  auto shards = source_->shards();
  if (!shards.empty()) shards.insert(shards.end(), files_.size(), 1);
  return shards;
}

std::string NamedClasses::name(int64_t index) const {
  if (index < source_->size()) return source_->name(index);
  return files_[static_cast<size_t>(index - source_->size())];
}

std::vector<std::string> read_file_list(const fs::path& list) {
  std::vector<std::string> files;
  try {
    std::istringstream lines(read_file(list, kMaxList));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) files.push_back((list.parent_path() / line).string());
    }
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
  if (files.empty()) {
    throw DataError(list.string() + ": names no image; expected the path of one in each line");
  }
  return files;
}

Sample image_sample(const ImageReader& images, const std::string& file, int64_t index,
                    int64_t label) {
  Sample sample;
  sample.index = index;
  sample.image = images.open(file);
  sample.label = label;
  return sample;
}

}  // namespace dnc
