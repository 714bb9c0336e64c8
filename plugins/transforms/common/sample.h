#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "registry/dataset.h"
#include "registry/fields.h"
#include "registry/image.h"

namespace dnc {

/// The value of a label image that belongs to no class.
inline constexpr uint8_t kIgnoredPixel = 255;

struct Size {
  int64_t height = 0;
  int64_t width = 0;
};

/// An option that is one number, for a square, or [height, width].
Size to_size(const std::vector<int64_t>& numbers);

/// Throws OptionError unless `range` is [low, high] with low <= high.
void check_range(const std::string& option, const std::vector<double>& range);

/// Throws OptionError unless there is one number, for all channels, or three.
void check_channels(const std::string& option, const std::vector<double>& numbers);

/// `numbers` as check_channels() wants them, to one for each of three channels.
std::array<float, 3> to_channels(const std::vector<double>& numbers);

/// The option `interpolation`.
Field& interpolation_field(Fields& fields, Interpolation& interpolation);

/// The option `decoding`.
Field& decoding_field(Fields& fields, Decoding& decoding);

/// Image and label image to the part inside `box`, which lies within them.
void crop(Sample& sample, const Box& box);
/// The same for a box that may reach beyond. Labels are mirrored or repeated as the image is; where
/// the border is constant they are ignored.
void crop(Sample& sample, const Box& box, const Border& border);
/// Image and label image to another size; class ids are picked, never mixed.
void resize(Sample& sample, const Size& size, Interpolation interpolation,
            Decoding decoding = Decoding::kExact);

}  // namespace dnc
