#include "host/inference.h"

#include <torch/types.h>

#include <algorithm>
#include <string>

#include "host/windows.h"
#include "registry/error.h"

namespace dnc {
namespace {

constexpr int64_t kNumbersAtOnce = 1 << 24;  // 64 MB of scores

PixelSize size_of(const torch::Tensor& images) { return {images.size(2), images.size(3)}; }

}  // namespace

void InferenceOptions::fields(Fields& f) {
  f.choice("mode", mode, {{"whole", Mode::kWhole}, {"slide", Mode::kSlide}},
           "The image at once, or in overlapping windows whose scores are averaged (pixels only).");
  f("crop_size", crop_size, "Height and width of a window.").at_least(1).length(0, 2);
  f("stride", stride, "Pixels from one window to the next, down and across.")
      .at_least(1)
      .length(0, 2);
}

void InferenceOptions::check() const {
  if (mode != Mode::kSlide) return;
  const std::string expected = "must be [height, width] with 'mode: slide'";
  if (crop_size.size() != 2) throw OptionError("crop_size", expected);
  if (stride.size() != 2) throw OptionError("stride", expected);
  if (stride[0] > crop_size[0] || stride[1] > crop_size[1]) {
    throw OptionError("stride", "is larger than 'crop_size': pixels between windows were not seen");
  }
}

std::vector<int64_t> window_starts(int64_t size, int64_t window, int64_t stride) {
  const int64_t windows = std::max<int64_t>(size - window + stride - 1, 0) / stride + 1;
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < windows; ++i) {
    starts.push_back(std::max<int64_t>(std::min(i * stride, size - window), 0));
  }
  return starts;
}

std::optional<PixelSize> label_size(const torch::Tensor& labels) {
  if (labels.dim() != 3) return std::nullopt;
  return PixelSize{labels.size(1), labels.size(2)};
}

torch::Tensor resize_scores(const torch::Tensor& scores, PixelSize size) {
  if (scores.dim() != 4 || size_of(scores) == size) return scores;
  return at::upsample_bilinear2d(scores, {size.height, size.width}, /*align_corners=*/false);
}

torch::Tensor classes_at_size(const torch::Tensor& scores, PixelSize size) {
  const int64_t C = scores.size(1), numbers = scores.size(0) * size.height * size.width;
  const int64_t step = std::clamp<int64_t>(kNumbersAtOnce / std::max<int64_t>(1, numbers), 1, C);
  torch::Tensor best, classes;
  for (int64_t first = 0; first < C; first += step) {
    const auto some = scores.narrow(1, first, std::min(step, C - first));
    auto [highest, label] = resize_scores(some, size).max(1);
    const auto better = first == 0 ? torch::Tensor() : highest.gt(best);
    classes = first == 0 ? label : torch::where(better, label.add_(first), classes);
    best = first == 0 ? highest : torch::where(better, highest, best);
  }
  return classes;
}

Model::Output infer(Model& model, const torch::Tensor& images, const InferenceOptions& options) {
  if (options.mode == InferenceOptions::Mode::kWhole) return model.forward(images);
  return {{}, slide(model, images, windows_of(size_of(images), options))};
}

}  // namespace dnc
