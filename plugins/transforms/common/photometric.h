#pragma once

#include <array>
#include <cstdint>

#include "registry/image.h"

namespace dnc {

/// Changes of colour, in place, of images of bytes with one channel or three; bit for bit what
/// Pillow does, and so torchvision on PIL images. Throws Error for an image of floats.

/// Towards black (factor 0), or away from it (above 1); 1 changes nothing, here and below.
void adjust_brightness(Image& image, double factor);
/// Towards (0) or away from the mean gray of the image.
void adjust_contrast(Image& image, double factor);
/// Towards (0) or away from the gray image. Nothing to do for one channel.
void adjust_saturation(Image& image, double factor);
/// Towards (0) or away from the image smoothed by [1 1 1; 1 5 1; 1 1 1] / 13. The outermost pixels
/// stay.
void adjust_sharpness(Image& image, double factor);
/// Turns the colour circle by `turn` of a full turn, -0.5 to 0.5. Nothing to do for one channel.
void adjust_hue(Image& image, double turn);

/// All channels become the luma (ITU-R 601); their number stays.
void remove_color(Image& image);
/// Keeps the upper `bits` of each byte, 0 to 8; 0 gives black.
void posterize(Image& image, int64_t bits);
/// Inverts the bytes that are not below `threshold`.
void solarize(Image& image, double threshold);
/// Adds to the bytes below 128.
void solarize_add(Image& image, int64_t addend);
void invert(Image& image);
/// Each channel on its own is stretched so that its darkest byte becomes 0 and its brightest 255.
void auto_contrast(Image& image);
/// Each channel on its own is mapped so that its histogram becomes as even as it can.
void equalize(Image& image);
/// Adds a number to each channel, rounds, and cuts at 0 and 255. Of one channel the first counts.
void add(Image& image, const std::array<double, 3>& addends);

}  // namespace dnc
