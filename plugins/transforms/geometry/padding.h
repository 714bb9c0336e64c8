#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"

namespace dnc {

/// Around an image, in pixels.
struct Padding {
  int64_t left = 0;
  int64_t top = 0;
  int64_t right = 0;
  int64_t bottom = 0;
};

/// The option `padding`, as torchvision reads it: one number, [left and right, top and bottom], or
/// [left, top, right, bottom]. Throws OptionError for any other count.
Padding to_padding(const std::vector<int64_t>& numbers);

/// The options `fill` and `padding_mode`.
void border_fields(Fields& fields, std::vector<double>& fill, Border::Mode& mode);
/// The border that they ask for. Throws OptionError for a bad count of numbers.
Border to_border(const std::vector<double>& fill, Border::Mode mode);

}  // namespace dnc
