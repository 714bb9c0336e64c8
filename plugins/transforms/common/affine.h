#pragma once

#include <array>

#include "registry/dataset.h"
#include "registry/image.h"

namespace dnc {

/// Where the pixels of a moved image are found: what is seen at (x, y) lies at
/// (xx x + xy y + x0, yx x + yy y + y0). Pixels are squares: the first has its centre at (0.5,
/// 0.5).
struct Affine {
  double xx = 1;
  double xy = 0;
  double x0 = 0;
  double yx = 0;
  double yy = 1;
  double y0 = 0;
};

/// Each row moves to the left by `factor` times its distance from the upper edge.
Affine shear_x(double factor);
/// Each column moves up by `factor` times its distance from the left edge.
Affine shear_y(double factor);
/// Moves to the right and down; parts of a pixel count.
Affine translate(double right, double down);
/// Turns an image of this size about its centre, counterclockwise.
Affine rotate(double degrees, int64_t height, int64_t width);

/// The image moved, of the same size, bit for bit as Image.transform() of Pillow does it (and so
/// torchvision on PIL images). Nothing is antialiased. `fill` (0 to 255) is seen beyond the edges.
/// Of images of bytes; throws Error for one of floats.
Image warp(const Image& image, const Affine& affine, Interpolation interpolation,
           const std::array<float, 3>& fill);
/// Image and label image. Class ids are picked, never mixed; those from beyond the edges are
/// ignored.
void warp(Sample& sample, const Affine& affine, Interpolation interpolation,
          const std::array<float, 3>& fill);

}  // namespace dnc
