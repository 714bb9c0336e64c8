#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>

namespace dnc {

/// Images [N, 3, H, W], bytes or normalised floats, to T values for each, [N, T]: what is to be
/// explained, such as a similarity or a score.
using Targets = std::function<torch::Tensor(const torch::Tensor& images)>;

struct OcclusionOptions {
  int64_t grid = 12;        // steps of the patch down and across the image
  int64_t batch_size = 32;  // occluded images at once
  std::function<void(int64_t done, int64_t all)> progress{};  // images
};

/// Where in an image [1, 3, H, W] its values come from, [T, H, W] on the CPU: a patch of its mean
/// colour, two steps high and wide, is laid on each place of a grid, and what a value loses by it
/// counts for the patch's pixels; a pixel has the mean over the patches on it. Positive where the
/// image speaks for the value. It needs no gradient and assumes nothing about the network, so it
/// is right for any.
torch::Tensor occlusion_maps(const torch::Tensor& image, const Targets& targets,
                             const OcclusionOptions& options);

/// The linear approximation of it, in one pass for each value: gradient x (input - mean colour),
/// summed over the channels and averaged over a patch around each pixel, [T, H, W] on the CPU.
/// `image` [1, 3, H, W] are floats. Cheap; misleading where the network saturates.
torch::Tensor gradient_maps(const torch::Tensor& image, const Targets& targets, int64_t grid);

}  // namespace dnc
