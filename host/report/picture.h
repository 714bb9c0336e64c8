#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/html.h"
#include "registry/image.h"

namespace dnc::report {

/// An image that is part of a page: a PNG file, as text.
struct Picture {
  std::string png;     // base64; empty for no picture
  int64_t width = 0;   // pixels
  int64_t height = 0;  // pixels
};

/// A uint8 image of 1 or 3 channels, made smaller where its longer side has more pixels than that.
/// No picture of an image of floats or without pixels.
Picture make_picture(const Image& image, int64_t longest_side);

/// An <img>. Small ones, up to 64 pixels, are marked to be enlarged with sharp pixels. `text`
/// stands for the picture where it is not seen, `title` is shown by the pointer.
Markup to_img(const Picture& picture, const std::string& text, const std::string& title);

/// Bytes as RFC 4648 text, four characters for three bytes.
std::string base64(const std::vector<uint8_t>& bytes);

}  // namespace dnc::report
