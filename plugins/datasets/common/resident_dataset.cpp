#include "plugins/datasets/common/resident_dataset.h"

#include <utility>

namespace dnc {

ResidentDataset::ResidentDataset(Pictures pictures, const SubsetOptions& subset)
    : pictures_(std::move(pictures)), kept_(select(pictures_.labels, subset)) {}

int64_t ResidentDataset::size() const { return static_cast<int64_t>(kept_.size()); }

Sample ResidentDataset::load(int64_t index) const {
  const int64_t position = kept_.at(static_cast<size_t>(index));
  const int64_t bytes = pictures_.height * pictures_.width * pictures_.channels;
  Sample sample;
  sample.index = index;
  sample.image = Image(pictures_.height, pictures_.width, pictures_.channels,
                       pictures_.pixels.data() + position * bytes);
  sample.label = pictures_.labels[static_cast<size_t>(position)];
  return sample;
}

const ClassInfo& ResidentDataset::classes() const { return pictures_.classes; }

int64_t ResidentDataset::label(int64_t index) const {
  return pictures_.labels[static_cast<size_t>(kept_.at(static_cast<size_t>(index)))];
}

std::string ResidentDataset::name(int64_t index) const {
  int64_t number = kept_.at(static_cast<size_t>(index));
  auto file = pictures_.files.begin();
  while (number >= file->count) {
    number -= file->count;
    ++file;
  }
  return file->name + " #" + std::to_string(number);
}

}  // namespace dnc
