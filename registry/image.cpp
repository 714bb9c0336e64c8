#include "registry/image.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "registry/error.h"

namespace dnc {
namespace {

bool is_inside(const Box& box, int64_t height, int64_t width) {
  return box.top >= 0 && box.left >= 0 && box.height >= 0 && box.width >= 0 &&
         box.height <= height - box.top && box.width <= width - box.left;
}

// The row or column of an image of `size` that is seen at `position`; -1 where the border is
// constant.
int64_t find_source(int64_t position, int64_t size, Border::Mode mode) {
  if (position >= 0 && position < size) return position;
  if (mode == Border::Mode::kConstant) return -1;
  if (mode == Border::Mode::kEdge || size == 1) return std::clamp<int64_t>(position, 0, size - 1);
  const int64_t period = 2 * (size - 1);
  const int64_t phase = ((position % period) + period) % period;
  return std::min(phase, period - phase);
}

template <typename T>
void copy_box(const T* in, int64_t in_stride, const Box& box, int64_t channels, T* out) {
  const int64_t length = box.width * channels;
  for (int64_t y = 0; y < box.height; ++y) {
    std::copy_n(in + (box.top + y) * in_stride + box.left * channels, length, out + y * length);
  }
}

// Row `source` of `in` through the columns of `box`, border included.
template <typename T>
void copy_row_with_border(const T* in, int64_t in_width, int64_t channels, const Box& box,
                          Border::Mode mode, const T* fill, T* out) {
  const int64_t first = std::clamp<int64_t>(-box.left, 0, box.width);
  const int64_t last = std::clamp<int64_t>(in_width - box.left, first, box.width);
  const auto copy_border = [&](int64_t begin, int64_t end) {
    for (int64_t x = begin; x < end; ++x) {
      const int64_t source = find_source(box.left + x, in_width, mode);
      std::copy_n(source < 0 ? fill : in + source * channels, channels, out + x * channels);
    }
  };
  copy_border(0, first);
  std::copy_n(in + (box.left + first) * channels, (last - first) * channels,
              out + first * channels);
  copy_border(last, box.width);
}

template <typename T>
void copy_with_border(const T* in, int64_t in_height, int64_t in_width, int64_t channels,
                      const Box& box, const Border& border, T* out) {
  T fill[3];
  for (int c = 0; c < 3; ++c) {
    const float value = border.fill[static_cast<size_t>(c)];
    if constexpr (std::is_same_v<T, uint8_t>) {
      fill[c] = static_cast<uint8_t>(std::lround(std::clamp(value, 0.0f, 255.0f)));
    } else {
      fill[c] = value;
    }
  }
  const int64_t length = box.width * channels;
  for (int64_t y = 0; y < box.height; ++y, out += length) {
    const int64_t source = find_source(box.top + y, in_height, border.mode);
    if (source >= 0) {
      copy_row_with_border(in + source * in_width * channels, in_width, channels, box, border.mode,
                           fill, out);
    } else {
      for (int64_t x = 0; x < box.width; ++x) std::copy_n(fill, channels, out + x * channels);
    }
  }
}

template <typename T, int kChannels>
void flip_rows(const T* in, int64_t height, int64_t width, T* out) {
  for (int64_t y = 0; y < height; ++y) {
    const T* const row = in + y * width * kChannels;
    T* const flipped = out + y * width * kChannels;
    for (int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < kChannels; ++c) {
        flipped[x * kChannels + c] = row[(width - 1 - x) * kChannels + c];
      }
    }
  }
}

template <typename T>
void flip_rows(const T* in, int64_t height, int64_t width, int64_t channels, T* out) {
  if (channels == 1) {
    flip_rows<T, 1>(in, height, width, out);
  } else {
    flip_rows<T, 3>(in, height, width, out);
  }
}

// ITU-R 601 luma; of bytes in Pillow's 16-bit fixed point.
uint8_t luma(uint8_t red, uint8_t green, uint8_t blue) {
  return static_cast<uint8_t>((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16);
}
float luma(float red, float green, float blue) {
  return 0.299f * red + 0.587f * green + 0.114f * blue;
}

template <typename T>
void convert_channels(const T* in, int64_t in_channels, int64_t pixels, T* out) {
  for (int64_t i = 0; i < pixels; ++i) {
    if (in_channels == 1) {
      std::fill_n(out + 3 * i, 3, in[i]);
    } else {
      out[i] = luma(in[3 * i], in[3 * i + 1], in[3 * i + 2]);
    }
  }
}

}  // namespace

EncodedImage::~EncodedImage() = default;
ImageReader::~ImageReader() = default;

bool EncodedImage::decode_reduced(int64_t, const Box&, uint8_t*) const { return false; }

Image::Image() = default;

Image::Image(int64_t height, int64_t width, int64_t channels)
    : box_{0, 0, height, width}, channels_(channels) {
  if (height < 0 || width < 0 || (channels != 1 && channels != 3)) {
    throw std::invalid_argument("Image: bad size " + std::to_string(height) + " x " +
                                std::to_string(width) + " x " + std::to_string(channels));
  }
  bytes_.resize(static_cast<size_t>(size()));
}

Image::Image(int64_t height, int64_t width, int64_t channels, const uint8_t* pixels)
    : Image(height, width, channels) {
  std::copy_n(pixels, size(), bytes_.data());
}

Image::Image(std::shared_ptr<const EncodedImage> encoded)
    : box_{0, 0, encoded->height(), encoded->width()}, channels_(3), encoded_(std::move(encoded)) {}

const uint8_t* Image::pixels() const {
  if (is_float()) {
    throw Error(
        "a transform needs an image of bytes and gets one of floats; in `transforms`, move the "
        "step "
        "that normalises behind it");
  }
  decode();
  return bytes_.data();
}

uint8_t* Image::pixels() {
  // The bytes are not const: only the access to them was.
  return const_cast<uint8_t*>(std::as_const(*this).pixels());
}

void Image::decode() const {
  if (!encoded_) return;
  bytes_.resize(static_cast<size_t>(size()));
  if (!empty()) encoded_->decode(box_, bytes_.data());
  encoded_.reset();  // the file is not needed any more
}

void Image::to_float() {
  if (is_float()) return;
  decode();
  floats_.assign(bytes_.begin(), bytes_.end());
  bytes_ = {};
}

Image Image::blank(int64_t height, int64_t width, int64_t channels) const {
  Image image;
  image.box_ = {0, 0, height, width};
  image.channels_ = channels;
  if (is_float()) {
    image.floats_.resize(static_cast<size_t>(image.size()));
  } else {
    image.bytes_.resize(static_cast<size_t>(image.size()));
  }
  return image;
}

Image Image::crop(const Box& box) const {
  if (!is_inside(box, height(), width())) {
    throw std::invalid_argument("Image::crop: the box reaches beyond the image");
  }
  if (encoded_) {
    Image part = *this;
    part.box_ = {box_.top + box.top, box_.left + box.left, box.height, box.width};
    return part;
  }
  Image part = blank(box.height, box.width, channels_);
  if (is_float()) {
    copy_box(floats(), width() * channels_, box, channels_, part.floats());
  } else {
    copy_box(pixels(), width() * channels_, box, channels_, part.pixels());
  }
  return part;
}

Image Image::crop(const Box& box, const Border& border) const {
  if (is_inside(box, height(), width())) return crop(box);
  const bool constant = border.mode == Border::Mode::kConstant;
  if (box.height < 0 || box.width < 0 || (empty() && !constant)) {
    throw std::invalid_argument("Image::crop: a negative size, or nothing to mirror");
  }
  if (encoded_ && constant) {  // decode only what will be seen
    const int64_t top = std::clamp<int64_t>(box.top, 0, height());
    const int64_t left = std::clamp<int64_t>(box.left, 0, width());
    const int64_t bottom = std::clamp<int64_t>(box.top + box.height, top, height());
    const int64_t right = std::clamp<int64_t>(box.left + box.width, left, width());
    const Image seen = crop({top, left, bottom - top, right - left});
    seen.decode();
    return seen.crop({box.top - top, box.left - left, box.height, box.width}, border);
  }
  Image part = blank(box.height, box.width, channels_);
  if (is_float()) {
    copy_with_border(floats(), height(), width(), channels_, box, border, part.floats());
  } else {
    copy_with_border(pixels(), height(), width(), channels_, box, border, part.pixels());
  }
  return part;
}

Image Image::flip() const {
  decode();
  Image flipped = blank(height(), width(), channels_);
  if (is_float()) {
    flip_rows(floats(), height(), width(), channels_, flipped.floats());
  } else {
    flip_rows(pixels(), height(), width(), channels_, flipped.pixels());
  }
  return flipped;
}

Image Image::to_channels(int64_t channels) const {
  if (channels == channels_) return *this;
  if (channels != 1 && channels != 3) {
    throw std::invalid_argument("Image::to_channels: an image has 1 or 3 channels");
  }
  decode();
  Image converted = blank(height(), width(), channels);
  const int64_t count = height() * width();
  if (is_float()) {
    convert_channels(floats(), channels_, count, converted.floats());
  } else {
    convert_channels(pixels(), channels_, count, converted.pixels());
  }
  return converted;
}

}  // namespace dnc
