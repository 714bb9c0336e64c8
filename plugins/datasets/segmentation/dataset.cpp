#include "plugins/datasets/segmentation/dataset.h"

#include <fmt/format.h>

#include <utility>

#include "registry/error.h"

namespace dnc {

SegmentationDataset::SegmentationDataset(const ImageReader& images, SegmentationFiles files)
    : images_(images), set_(std::move(files)) {}

Sample SegmentationDataset::load(int64_t index) const {
  const auto& files = set_.files.at(static_cast<size_t>(index));
  Sample sample;
  sample.index = index;
  sample.image = images_.open(files.image);
  sample.labels = images_.open_labels(files.labels);
  check_size(sample);
  if (!set_.table.apply(sample.labels)) fail_values(index);
  return sample;
}

std::string SegmentationDataset::name(int64_t index) const {
  return set_.files.at(static_cast<size_t>(index)).image;
}

void SegmentationDataset::check_size(const Sample& sample) const {
  const auto& image = sample.image;
  const auto& labels = sample.labels;
  if (image.height() == labels.height() && image.width() == labels.width()) return;
  const auto& files = set_.files[static_cast<size_t>(sample.index)];
  const bool is_turned = image.height() == labels.width() && image.width() == labels.height();
  throw DataError(fmt::format(
      "{}: is {} x {} pixels (height x width), but its image {} is {} x {}; a label "
      "file must be as large as its image{}",
      files.labels, labels.height(), labels.width(), files.image, image.height(), image.width(),
      is_turned ? ". Does the image's EXIF data turn it? Labels are not turned: save it upright, "
                  "without that"
                : ""));
}

// The values were replaced by then, so they are read again.
void SegmentationDataset::fail_values(int64_t index) const {
  const auto& file = set_.files[static_cast<size_t>(index)].labels;
  const Image labels = images_.open_labels(file);
  const auto& advice = set_.table.looks_shifted_by_one(labels) ? set_.advice_for_zero : set_.advice;
  throw DataError(fmt::format("{}: has values that are none of the {} classes: {}; {}", file,
                              set_.classes.size(), set_.table.describe_unknown(labels), advice));
}

}  // namespace dnc
