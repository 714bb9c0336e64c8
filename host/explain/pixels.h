#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "host/inference.h"
#include "host/windows.h"

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

/// What a network made of an image, window by window: values on the grid of each, [N, C, h, w].
struct WindowGrids {
  Windows windows;
  std::vector<torch::Tensor> grids;  // in the order of the windows
};

/// A grid of the whole image.
WindowGrids whole_grid(const torch::Tensor& grid);

/// Whether any pixel of a region, of an image of that size, lies in a window.
bool sees(const Windows& windows, size_t window, const Region& region, PixelSize size);

/// What one window's values [N, C, h, w] add to mean_over(), [N, C].
torch::Tensor share_of_mean(const torch::Tensor& grid, const Windows& windows, size_t window,
                            const Region& region, PixelSize size);

/// Values on grids, brought to an image of that size as scores are (bilinear, and in the mean where
/// windows overlap), in the mean over a region of it, [N, C]. Computes no pixel: a mean of values
/// between locations is a weighted sum of the locations.
torch::Tensor mean_over(const WindowGrids& values, const Region& region, PixelSize size);

/// Which prototype each pixel of an image chose; on the CPU.
struct PixelChoice {
  torch::Tensor labels;   // int64 [H, W], the class, as predict gives it
  torch::Tensor indices;  // int64 [H, W], the nearest prototype of that class
};

/// `points` [1, D, h, w] of length 1, `scores` [1, C, h', w'], prototypes [C, K, D]. In each window
/// that sees it, a pixel asks the location that it lies in; the similarities of several windows are
/// averaged. Without prototypes (undefined) the indices are 0.
PixelChoice choose_prototypes(const WindowGrids& points, const torch::Tensor& scores,
                              const torch::Tensor& prototypes, PixelSize size);

/// Of each of the `most` classes with the most pixels, where it is widest: the pixel that is
/// farthest, in steps down and across, from another class and from the edge. `labels` [H, W].
std::vector<Region> widest_places(const torch::Tensor& labels, int64_t most);

}  // namespace dnc
