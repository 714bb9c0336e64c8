#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "host/inference.h"
#include "host/model.h"
#include "registry/image.h"

namespace dnc {

/// How a network looks at an image: every top with every left begins a window of one size.
struct Windows {
  PixelSize image;
  PixelSize window;  // no larger than the image
  std::vector<int64_t> tops;
  std::vector<int64_t> lefts;

  size_t count() const { return tops.size() * lefts.size(); }
  /// Window `index`, row by row.
  Box at(size_t index) const;
};

/// Those of the options; one where the image is seen whole.
Windows windows_of(PixelSize image, const InferenceOptions& options);

/// The part [N, C, height, width] of images [N, C, H, W] that a box lies on; shares their memory.
torch::Tensor part_of(const torch::Tensor& images, const Box& box);

/// Gets what the model makes of each window, in their order.
using UseWindow = std::function<void(const Model::Output&)>;

/// The scores of images [N, 3, H, W], seen in windows: each window's scores at its size (bilinear),
/// and in the mean where windows overlap, float32 [N, C, H, W]. Throws Error for a model that is
/// not for pixels.
torch::Tensor slide(Model& model, const torch::Tensor& images, const Windows& windows,
                    const UseWindow& also_use = {});

}  // namespace dnc
