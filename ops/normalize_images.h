#pragma once

#include <torch/types.h>

namespace dnc {

/// Images of bytes as a network takes them: (x - mean) / std per channel, computed in float32 as
/// (x - mean) * (1 / std). `images` are uint8 [N, C, H, W], C from 1 to 4, in any layout: [N, H, W,
/// C] as decoders give them comes as images.permute({0, 3, 1, 2}), without a copy. The result is
/// [N, C, H, W] in channels-last memory, float32, bfloat16, float16 or float64, rounded once.
torch::Tensor normalize_images(const torch::Tensor& images, at::ArrayRef<double> mean,
                               at::ArrayRef<double> std, at::ScalarType dtype);

/// What it throws for arguments that do not fit; for all devices.
void check_normalize_images(at::ScalarType type, int64_t dimensions, at::ArrayRef<double> mean,
                            at::ArrayRef<double> std, at::ScalarType dtype);

}  // namespace dnc
