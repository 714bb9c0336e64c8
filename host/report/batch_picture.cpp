#include "host/report/batch_picture.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace dnc::report {
namespace {

constexpr int64_t kLongestSide = 768;  // of a picture: a log has many

torch::Tensor first(const torch::Tensor& tensor, int64_t count) {
  return tensor.slice(0, 0, count).detach().cpu();
}

/// uint8 [N, 3, H, W]; see batch_picture().
torch::Tensor to_bytes(const torch::Tensor& images, const Preprocess& preprocess) {
  if (images.scalar_type() == torch::kUInt8) return images;
  const auto numbers = [](const std::vector<double>& values) {
    return torch::tensor(values, torch::kFloat32).view({1, 3, 1, 1});
  };
  auto bytes = images.to(torch::kFloat32) * numbers(preprocess.std) + numbers(preprocess.mean);
  bytes = bytes.nan_to_num();
  const auto low = bytes.min().item<double>(), high = bytes.max().item<double>();
  constexpr double kRounding = 0.5;
  if (low < -kRounding || high > 255 + kRounding) bytes = (bytes - low) * (255 / (high - low));
  return bytes.round().clamp(0, 255).to(torch::kUInt8);
}

/// One of to_bytes(), [3, H, W].
Image image_of(const torch::Tensor& bytes) {
  const auto pixels = bytes.permute({1, 2, 0}).contiguous();
  return {pixels.size(0), pixels.size(1), 3, pixels.const_data_ptr<uint8_t>()};
}

/// Class ids [h, w] of any integers over an image, brought to its size; those that the palette does
/// not have leave it as it is.
Image with_labels(const Image& image, const torch::Tensor& labels, const Palette& palette) {
  const auto none = torch::tensor(int64_t{255});
  const auto known =
      (labels >= 0).logical_and(labels < std::min<int64_t>(std::ssize(palette), 255));
  const auto ids = torch::where(known, labels, none).to(torch::kUInt8).contiguous();
  Image label_image(ids.size(0), ids.size(1), 1, ids.const_data_ptr<uint8_t>());
  return overlay(image, label_image.resize(image.height(), image.width(), Interpolation::kNearest),
                 palette);
}

/// The sheet in a size that a log can hold.
Image drawn(const ContactSheet& sheet) {
  auto picture = to_image(sheet);
  const auto longer = std::max(picture.height(), picture.width());
  if (longer <= kLongestSide) return picture;
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, side * kLongestSide / longer);
  };
  return picture.resize(scaled(picture.height()), scaled(picture.width()),
                        Interpolation::kBilinear);
}

}  // namespace

Image batch_picture(const Batch& batch, int64_t count, const BatchLook& look) {
  const auto images = to_bytes(first(batch.images, count), look.preprocess);
  const auto labels = first(batch.labels, count);
  const auto columns =
      static_cast<size_t>(std::ceil(std::sqrt(static_cast<double>(images.size(0)))));
  ContactSheet sheet;
  sheet.columns.resize(columns);
  for (int64_t i = 0; i < images.size(0); ++i) {
    auto image = image_of(images[i]);
    if (labels.dim() == 3) image = with_labels(image, labels[i], look.palette);
    if (i % static_cast<int64_t>(columns) == 0) sheet.rows.emplace_back();
    sheet.rows.back().images.push_back(std::move(image));
  }
  return drawn(sheet);
}

PredictionPicture::PredictionPicture(int64_t count, BatchLook look)
    : count_(count), look_(std::move(look)) {
  sheet_.columns = {"image", "labels", "predictions"};
}

void PredictionPicture::add(const Batch& batch, const torch::Tensor& scores) {
  const int64_t wanted = std::min(count_ - std::ssize(sheet_.rows), batch.size());
  if (wanted <= 0) return;
  const auto images = to_bytes(first(batch.images, wanted), look_.preprocess);
  const auto labels = first(batch.labels, wanted);
  const auto predicted = scores.slice(0, 0, wanted).argmax(1).cpu();
  for (int64_t i = 0; i < wanted; ++i) {
    const auto image = image_of(images[i]);
    sheet_.rows.emplace_back().images = {image, with_labels(image, labels[i], look_.palette),
                                         with_labels(image, predicted[i], look_.palette)};
  }
}

Image PredictionPicture::finish() {
  if (sheet_.rows.empty()) return {};
  auto picture = drawn(sheet_);
  sheet_.rows.clear();
  return picture;
}

}  // namespace dnc::report
