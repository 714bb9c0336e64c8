#pragma once

#include <cstdint>
#include <vector>

#include "registry/image.h"

namespace dnc {

/// A uint8 image of 1 or 3 channels as a PNG file.
std::vector<uint8_t> encode_png(const Image& image);

}  // namespace dnc
