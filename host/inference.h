#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "host/model.h"
#include "registry/fields.h"

namespace dnc {

/// Pixels down and across.
struct PixelSize {
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const PixelSize&) const = default;
};

/// How a trained network looks at an image for pixels: whole, or in overlapping windows whose
/// scores are averaged (mmseg's `test_cfg`).
struct InferenceOptions {
  enum class Mode { kWhole, kSlide };
  Mode mode = Mode::kWhole;
  std::vector<int64_t> crop_size;  // kSlide: of a window, height and width
  std::vector<int64_t> stride;     // kSlide: from one window to the next, down and across

  void fields(Fields& f);
  /// Throws OptionError where the options do not fit each other.
  void check() const;
};

/// Where windows begin on a side of `size` pixels: every `stride`, the last one moved back to end
/// with the image. One window where it is as large as the side or larger.
std::vector<int64_t> window_starts(int64_t size, int64_t window, int64_t stride);

/// At which size pixels are compared: that of labels [N, H, W], which is perhaps the image's before
/// a Resize. Nothing for labels [N] of images.
std::optional<PixelSize> label_size(const torch::Tensor& labels);

/// Scores of pixels, [N, C, h, w], at another size (bilinear, corners not aligned); others as they
/// are.
torch::Tensor resize_scores(const torch::Tensor& scores, PixelSize size);

/// The class with the highest score of each pixel, int64 [N, H, W], of scores [N, C, h, w] at
/// another size: resize_scores().argmax(1), but never all C maps of a large image at once.
torch::Tensor classes_at_size(const torch::Tensor& scores, PixelSize size);

/// What the model makes of images [N, 3, H, W]. In windows, the scores are [N, C, H, W] and there
/// are no embeddings; Error for a model that is not for pixels. The caller has set the model's mode
/// and switched gradients off.
Model::Output infer(Model& model, const torch::Tensor& images, const InferenceOptions& options);

}  // namespace dnc
