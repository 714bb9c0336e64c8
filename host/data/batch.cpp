#include "host/data/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "registry/error.h"
#include "registry/head.h"

namespace dnc {
namespace {

constexpr int64_t kBeyond = std::numeric_limits<int64_t>::min();
constexpr int64_t kIgnoredPixel = 255;

// Copies `pixels` pixels of 1 or 3 channels to 3.
template <typename T>
void copy_pixels(const T* in, int64_t pixels, int64_t channels, T* out) {
  if (channels == 3) {
    std::copy_n(in, pixels * 3, out);
    return;
  }
  for (int64_t i = 0; i < pixels; ++i) {
    out[3 * i] = in[i];
    out[3 * i + 1] = in[i];
    out[3 * i + 2] = in[i];
  }
}

const char* type_name(bool floats) { return floats ? "float32" : "uint8"; }

}  // namespace

BatchBuilder::BatchBuilder(const Dataset& dataset, int64_t count, bool pin, bool free_label_size)
    : dataset_(dataset), count_(count), pin_(pin), free_label_size_(free_label_size) {
  batch_.indices.reserve(static_cast<size_t>(count));
  if (dataset.task() == Task::kPixels) {
    pixel_labels_.fill(kBeyond);
    for (int64_t i = 0; i < std::min<int64_t>(dataset.classes().size(), 256); ++i) {
      pixel_labels_[static_cast<size_t>(i)] = i;
    }
    pixel_labels_[kIgnoredPixel] = kIgnoredLabel;
  }
}

void BatchBuilder::add(const Sample& sample) {
  const auto row = batch_.size();
  if (row == 0) {
    allocate(sample);
  } else {
    check_like_first(sample);
  }
  put_image(sample, row);
  if (dataset_.task() == Task::kPixels) {
    put_label_image(sample, row);
  } else {
    put_label(sample, row);
  }
  batch_.indices.push_back(sample.index);
}

Batch BatchBuilder::finish() {
  const auto rows = batch_.size();
  if (rows > 0 && rows < count_) {
    batch_.images = batch_.images.narrow(0, 0, rows);
    batch_.labels = batch_.labels.narrow(0, 0, rows);
  }
  return std::move(batch_);
}

void BatchBuilder::allocate(const Sample& first) {
  height_ = first.image.height();
  width_ = first.image.width();
  floats_ = first.image.is_float();
  const auto options = torch::TensorOptions().pinned_memory(pin_);
  const bool pixels = dataset_.task() == Task::kPixels;
  label_height_ = free_label_size_ ? first.labels.height() : height_;
  label_width_ = free_label_size_ ? first.labels.width() : width_;
  batch_.images = torch::empty({count_, height_, width_, 3},
                               options.dtype(floats_ ? torch::kFloat32 : torch::kUInt8))
                      .permute({0, 3, 1, 2});
  batch_.labels =
      pixels ? torch::empty({count_, label_height_, label_width_}, options.dtype(torch::kInt64))
             : torch::empty({count_}, options.dtype(torch::kInt64));
}

void BatchBuilder::check_like_first(const Sample& sample) const {
  const auto& image = sample.image;
  const auto names = [&] {
    return std::make_pair(dataset_.name(sample.index), dataset_.name(batch_.indices.front()));
  };
  if (image.height() != height_ || image.width() != width_) {
    const auto [name, first] = names();
    throw DataError(fmt::format(
        "{}: its image is {} x {} pixels (height x width), but {} in the same batch is {} x {}; "
        "add a transform that makes them equal (Resize, RandomCrop, RandomResizedCrop)",
        name, image.height(), image.width(), first, height_, width_));
  }
  if (image.is_float() != floats_) {
    const auto [name, first] = names();
    throw DataError(
        fmt::format("{}: its image is {}, but {} in the same batch is {}; a transform "
                    "makes only some images float32",
                    name, type_name(image.is_float()), first, type_name(floats_)));
  }
}

void BatchBuilder::put_image(const Sample& sample, int64_t row) {
  const auto& image = sample.image;
  const int64_t channels = image.channels();
  if (channels != 1 && channels != 3) {
    throw DataError(fmt::format("{}: its image has {} channels, expected 1 or 3",
                                dataset_.name(sample.index), channels));
  }
  const int64_t pixels = height_ * width_;
  if (floats_) {
    copy_pixels(image.floats(), pixels, channels,
                batch_.images.mutable_data_ptr<float>() + row * pixels * 3);
  } else {
    copy_pixels(image.pixels(), pixels, channels,
                batch_.images.mutable_data_ptr<uint8_t>() + row * pixels * 3);
  }
}

void BatchBuilder::put_label(const Sample& sample, int64_t row) {
  const bool known = sample.label >= 0 && sample.label < dataset_.classes().size();
  if (!known && sample.label != kIgnoredLabel) fail_label(sample.index, sample.label);
  batch_.labels.mutable_data_ptr<int64_t>()[row] = sample.label;
}

void BatchBuilder::put_label_image(const Sample& sample, int64_t row) {
  const auto& labels = sample.labels;
  if (labels.height() != label_height_ || labels.width() != label_width_ ||
      labels.channels() != 1) {
    throw DataError(fmt::format(
        "{}: its label image is {} x {} x {}, expected {} x {} x 1 like {}",
        dataset_.name(sample.index), labels.height(), labels.width(), labels.channels(),
        label_height_, label_width_,
        free_label_size_ ? "the first of the batch (data.eval_batch_size: 1 takes any size)"
                         : "the image"));
  }
  const int64_t pixels = label_height_ * label_width_;
  const uint8_t* in = labels.pixels();
  int64_t* out = batch_.labels.mutable_data_ptr<int64_t>() + row * pixels;
  int64_t lowest = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    out[i] = pixel_labels_[in[i]];
    lowest = std::min(lowest, out[i]);
  }
  if (lowest == kBeyond) fail_label(sample.index, in[std::find(out, out + pixels, kBeyond) - out]);
}

void BatchBuilder::fail_label(int64_t index, int64_t label) const {
  const int64_t classes = dataset_.classes().size();
  throw DataError(
      fmt::format("{}: label {} is beyond the {} classes (0 to {}); does the data set "
                  "fit its list of classes?",
                  dataset_.name(index), label, classes, classes - 1));
}

}  // namespace dnc
