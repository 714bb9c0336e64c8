#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "registry/dataset.h"
#include "registry/image.h"

namespace dnc::report {

using Palette = std::vector<std::array<uint8_t, 3>>;  // RGB, one for each class

/// The colours of the classes; hues that are far apart where the data set brings none.
Palette palette_of(const ClassInfo& classes);

/// Class ids, one channel, as colours; ids beyond the palette (255, ignored) are black.
Image colour_labels(const Image& labels, const Palette& palette);

/// An image with the colours of its pixels' classes, half and half; pixels of ids beyond the
/// palette stay as they are. Throws std::invalid_argument for labels of another size.
Image overlay(const Image& image, const Image& labels, const Palette& palette);

/// RGB images of one height, from left to right, with a white gap of 4 pixels between.
Image side_by_side(const std::vector<Image>& images);

}  // namespace dnc::report
