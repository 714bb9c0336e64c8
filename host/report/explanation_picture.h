#pragma once

#include <cstdint>
#include <vector>

#include "host/report/label_picture.h"
#include "registry/image.h"

namespace dnc::report {

/// A value for each pixel of an image, rows from top to bottom.
struct HeatMap {
  int64_t height = 0;
  int64_t width = 0;
  std::vector<float> values;

  /// The largest size of a value; 0 for none.
  double peak() const;
};

/// The image in gray, orange where the map is positive and blue where it is negative, the stronger
/// the nearer to the map's peak. People who see red and green alike tell the two apart. Throws
/// std::invalid_argument for a map of another size.
Image heat_picture(const Image& image, const HeatMap& map);

/// Draws a white frame with a black one around it just outside of a box; what lies beyond the image
/// is left out. RGB.
void outline(Image& image, const Box& box);

/// The square of `side` pixels around a pixel, at the edge of the image the nearest one inside (a
/// smaller image lies in its middle, on black), enlarged to 96 pixels or more with sharp pixels,
/// with a frame around the pixel; RGB.
Image marked_crop(const Image& image, int64_t x, int64_t y, int64_t side);

/// Pictures side by side, in groups that are set apart.
using PictureRow = std::vector<std::vector<Image>>;

/// Rows of pictures on gray ground; RGB. All of a row have one height: that of its first picture,
/// at most 192 pixels, of a small one the first multiple from 96 on, with sharp pixels.
Image picture_sheet(const std::vector<PictureRow>& rows);

/// `count` shades of a colour, from dark to light; the colour itself for one.
Palette shades_of(const std::array<uint8_t, 3>& colour, int64_t count);

}  // namespace dnc::report
