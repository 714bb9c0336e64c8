#pragma once

#include <torch/types.h>

#include <optional>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// Which part of each image is taken. All of it where nothing is given.
struct ImageCrops {
  std::optional<torch::Tensor> corners;  // int64 [N, 2], top and left; may lie outside the image
  at::OptionalIntArrayRef size;          // height and width of the result; those of the images
  std::optional<torch::Tensor> flips;    // bool [N], which crops are mirrored left to right
};

/// Images of bytes as a network takes them: (x - mean) / std per channel, computed in float32 as
/// (x - mean) * (1 / std). `images` are uint8 [N, C, H, W], C from 1 to 4, in any layout: [N, H, W,
/// C] as decoders give them comes as images.permute({0, 3, 1, 2}), without a copy. The result is
/// [N, C, h, w] in channels-last memory, float32, bfloat16, float16 or float64, rounded once. What
/// a crop has outside its image is black.
DNC_EXPORT torch::Tensor normalize_images(const torch::Tensor& images, at::ArrayRef<double> mean,
                                          at::ArrayRef<double> std, at::ScalarType dtype,
                                          const ImageCrops& crops);

/// What it throws for arguments that do not fit; for all devices. Returns the sizes of the result.
DNC_EXPORT std::vector<c10::SymInt> check_normalize_images(const torch::Tensor& images,
                                                           at::ArrayRef<double> mean,
                                                           at::ArrayRef<double> std,
                                                           at::ScalarType dtype,
                                                           const ImageCrops& crops);

}  // namespace dnc
