#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "registry/export.h"

namespace dnc {

/// A rectangle of pixels.
struct Box {
  int64_t top = 0;
  int64_t left = 0;
  int64_t height = 0;
  int64_t width = 0;
  bool operator==(const Box&) const = default;
};

/// How samples between pixels are found; the last two are Pillow's antialiased filters.
enum class Interpolation { kNearest, kBilinear, kBicubic };

/// How resize() decodes an image that was not decoded yet: whole, or reduced as far as its new size
/// allows. That is faster for a large JPEG, and close to the exact result but not equal to it.
enum class Decoding { kExact, kReduced };

/// What lies beyond the edge of an image: one value for each channel, the nearest pixel, or the
/// image mirrored at the centre of its outermost pixels (torchvision's "reflect").
struct Border {
  enum class Mode { kConstant, kEdge, kReflect };
  Mode mode = Mode::kConstant;
  std::array<float, 3> fill{};  // kConstant; of a uint8 image 0 to 255, rounded
};

/// A file that is not decoded yet. Implemented by the host (see ImageReader). Thread-safe.
class DNC_EXPORT EncodedImage {
 public:
  virtual ~EncodedImage();
  virtual int64_t height() const = 0;  // as seen: after the EXIF orientation
  virtual int64_t width() const = 0;
  /// Decodes `box` of the image to RGB, 3 bytes a pixel, rows top to bottom, without gaps, into
  /// `out` of box.height * box.width * 3 bytes. Throws DataError with the file's name.
  virtual void decode(const Box& box, uint8_t* out) const = 0;
  /// The same of the image at 1/`factor` of its size, sides rounded up; `factor` is 2, 4 or 8, and
  /// `box` counts in the smaller image's pixels, each the mean of the pixels that it stands for. At
  /// a fraction of the cost where a format allows it (JPEG); false, with nothing done, elsewhere.
  virtual bool decode_reduced(int64_t factor, const Box& box, uint8_t* out) const;
};

/// Pixels, height x width x channels, interleaved: uint8 from a file, or float32 once a transform
/// has normalised them. An image from a file is decoded when its pixels are first asked for, and
/// only the part that crop() left; to ask for them counts as a change, so one image belongs to one
/// thread at a time. Arguments that make no sense throw std::invalid_argument.
class DNC_EXPORT Image {
 public:
  Image();
  /// uint8, filled with zero.
  Image(int64_t height, int64_t width, int64_t channels);
  /// A copy of `pixels`, height * width * channels bytes.
  Image(int64_t height, int64_t width, int64_t channels, const uint8_t* pixels);
  /// Decoded later; RGB.
  explicit Image(std::shared_ptr<const EncodedImage> encoded);

  int64_t height() const { return box_.height; }
  int64_t width() const { return box_.width; }
  int64_t channels() const { return channels_; }
  bool empty() const { return box_.height == 0 || box_.width == 0; }
  bool is_float() const { return !floats_.empty(); }
  /// Bytes or floats in all.
  int64_t size() const { return box_.height * box_.width * channels_; }

  /// The pixels, decoded if need be. Throws DataError for a damaged file, and Error for a float
  /// image: a transform that needs bytes must stand before the one that normalises.
  const uint8_t* pixels() const;
  uint8_t* pixels();
  /// Only where is_float().
  const float* floats() const { return floats_.data(); }
  float* floats() { return floats_.data(); }
  /// Makes it a float32 image of the same values.
  void to_float();

  /// The part inside `box`, which lies within the image. Of an image that is not decoded yet, only
  /// that part will be.
  Image crop(const Box& box) const;
  /// The part inside `box`, which may reach beyond the image: crops, pads, or does both in one
  /// step.
  Image crop(const Box& box, const Border& border) const;
  /// Mirrored left to right.
  Image flip() const;
  /// To another size, bit for bit as Pillow does it: first along the rows, then along the columns;
  /// uint8 is rounded after each. (Since 12.2 Pillow takes the columns first for some sizes, which
  /// changes the rounding; the recipes were published with the order above.)
  Image resize(int64_t height, int64_t width, Interpolation interpolation,
               Decoding decoding = Decoding::kExact) const;
  /// 1 channel to 3 equal ones, or 3 to 1 by ITU-R 601 luma (Pillow's "L").
  Image to_channels(int64_t channels) const;

 private:
  void decode() const;
  /// Zeros of another size, uint8 or float as this is.
  Image blank(int64_t height, int64_t width, int64_t channels) const;

  Box box_;  // the corner counts only while the image is not decoded
  int64_t channels_ = 0;
  mutable std::shared_ptr<const EncodedImage> encoded_;
  mutable std::vector<uint8_t> bytes_;
  std::vector<float> floats_;
};

/// Opens image files: what the host hands to data sets. Thread-safe.
class DNC_EXPORT ImageReader {
 public:
  virtual ~ImageReader();
  /// Reads the file and its header; the pixels are decoded later. Throws DataError where the file
  /// is missing, no image, or larger than the limit of pixels.
  virtual Image open(const std::string& path) const = 0;
  /// The same for bytes in memory; `name` stands in messages.
  virtual Image open(std::vector<uint8_t> bytes, const std::string& name) const = 0;
  /// Label images: 8-bit indices or gray values, one channel, never converted through a palette.
  virtual Image open_labels(const std::string& path) const = 0;
};

}  // namespace dnc
