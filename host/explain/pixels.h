#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "host/inference.h"

namespace dnc {

/// Some pixels of an image; one pixel where it is 1 x 1.
struct Region {
  int64_t x = 0;
  int64_t y = 0;
  int64_t width = 1;
  int64_t height = 1;
  bool is_pixel() const { return width == 1 && height == 1; }
  bool operator==(const Region&) const = default;
};

/// Values on a grid [N, C, h, w], brought to an image of that size as scores are (bilinear), in the
/// mean over a region of it, [N, C]. Computes no more than the region's pixels.
torch::Tensor mean_over(const torch::Tensor& grid, const Region& region, PixelSize size);

/// Which prototype each pixel of an image chose; on the CPU.
struct PixelChoice {
  torch::Tensor labels;   // int64 [H, W], the class, as predict gives it
  torch::Tensor indices;  // int64 [H, W], the nearest prototype of that class
};

/// `points` [1, D, h, w] of length 1, `scores` [1, C, h', w'], prototypes [C, K, D]. A pixel asks
/// the location of the points' grid that it lies in. Without prototypes and points (undefined) the
/// indices are 0.
PixelChoice choose_prototypes(const torch::Tensor& points, const torch::Tensor& scores,
                              const torch::Tensor& prototypes, PixelSize size);

/// Of each of the `most` classes with the most pixels, where it is widest: the pixel that is
/// farthest, in steps down and across, from another class and from the edge. `labels` [H, W].
std::vector<Region> widest_places(const torch::Tensor& labels, int64_t most);

}  // namespace dnc
