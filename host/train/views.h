#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/inference.h"
#include "host/model.h"

namespace dnc {

/// What an image is shown as to a model when it is tested ("test-time augmentation"):
///   kPlain     the image
///   kFlip      the image and its mirror image
///   kFiveCrops the middle and the four corners
///   kTenCrops  those and their mirror images (Krizhevsky et al. 2012)
struct Views {
  enum class Kind { kPlain, kFlip, kFiveCrops, kTenCrops };

  Kind kind = Kind::kPlain;
  /// Side of a crop in pixels; 0: 7/8 of the shorter side of the image, as 224 is of 256.
  int64_t crop = 0;
  /// Sizes at which all that is done, as factors (mmseg's multi-scale test).
  std::vector<double> scales{1.0};
  /// How the model looks at each view.
  InferenceOptions inference{};

  bool has_crops() const { return kind == Kind::kFiveCrops || kind == Kind::kTenCrops; }
  bool is_plain() const { return kind == Kind::kPlain && scales == std::vector<double>{1.0}; }
  /// The views of images [N, C, H, W] at one scale, each for all of them: [N, C, H, W] or [N, C,
  /// crop, crop]. Throws Error for crops that are larger than the images.
  std::vector<torch::Tensor> of(const torch::Tensor& images) const;
  /// "ten_crops of 224", for reports; "plain" where nothing is changed.
  std::string text() const;

 private:
  std::string kind_text() const;
};

/// What the model makes of all views of the images [N, 3, H, W] together. Of V views with the
/// scores s_v, the class c gets the share
///
///   p_c = 1/V sum_v softmax(s_v)_c
///
/// and the scores are log p, whose softmax is p; so every metric takes them like a model's own.
/// The embeddings are those of the first view. A model for pixels gives scores [N, classes, h, w],
/// which are brought to `size` where it is given (several scales need one) and mirrored back before
/// they are averaged; it has no crops (Error).
Model::Output forward_views(Model& model, const torch::Tensor& images, const Views& views,
                            std::optional<PixelSize> size = {});

}  // namespace dnc
