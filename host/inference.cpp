#include "host/inference.h"

#include <torch/torch.h>

#include <algorithm>
#include <string>

#include "registry/error.h"

namespace dnc {
namespace {

PixelSize size_of(const torch::Tensor& images) { return {images.size(2), images.size(3)}; }

torch::Tensor slide(Model& model, const torch::Tensor& images, const InferenceOptions& options) {
  const auto [height, width] = size_of(images);
  const PixelSize window{std::min(options.crop_size[0], height),
                         std::min(options.crop_size[1], width)};
  torch::Tensor sum;
  auto count = torch::zeros({1, 1, height, width}, images.options().dtype(torch::kFloat32));
  for (const auto top : window_starts(height, window.height, options.stride[0])) {
    for (const auto left : window_starts(width, window.width, options.stride[1])) {
      const auto part = [&](const torch::Tensor& all) {
        return all.narrow(2, top, window.height).narrow(3, left, window.width);
      };
      const auto scores = resize_scores(model.forward(part(images)).scores, window);
      if (scores.dim() != 4) {
        throw Error("model.inference.mode: slide is for models of pixels; take whole");
      }
      if (!sum.defined()) {
        sum = torch::zeros({images.size(0), scores.size(1), height, width},
                           scores.options().dtype(torch::kFloat32));
      }
      part(sum).add_(scores);
      part(count).add_(1);
    }
  }
  return sum.div_(count);
}

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

Model::Output infer(Model& model, const torch::Tensor& images, const InferenceOptions& options) {
  if (options.mode == InferenceOptions::Mode::kWhole) return model.forward(images);
  return {{}, slide(model, images, options)};
}

}  // namespace dnc
