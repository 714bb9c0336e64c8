#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "registry/image.h"

namespace dnc {

/// An image file in memory.
struct ImageFile {
  std::string name;  // for messages: a path
  std::vector<uint8_t> bytes;

  /// Throws DataError("NAME: WHAT").
  [[noreturn]] void fail(const std::string& what) const;
};

/// What the header of an image file says.
struct ImageHeader {
  int64_t height = 0;  // as stored, before the orientation
  int64_t width = 0;
  int orientation = 1;  // EXIF, 1 to 8; 1 = as stored
};

struct DecodeOptions {
  bool tolerate_damage = false;  // JPEG: take a damaged file as far as it goes, then gray
  int64_t max_scans = 500;       // JPEG: of a progressive file; each costs the time of an image
};

/// One file format: how to tell it, and how to read it. The functions throw DataError.
struct ImageFormat {
  const char* name;
  /// By its first bytes, whatever the suffix.
  bool (*matches)(std::span<const uint8_t> bytes);
  ImageHeader (*read_header)(const ImageFile& file);
  /// Decodes `box` of the stored image to RGB as EncodedImage::decode does. Transparency is
  /// dropped, 16 bits become 8, gray three equal values.
  void (*decode)(const ImageFile& file, const ImageHeader& header, const Box& box,
                 const DecodeOptions& options, uint8_t* out);
  /// As EncodedImage::decode_reduced of the stored image; null where the format has no short cut.
  void (*decode_reduced)(const ImageFile& file, int64_t factor, const Box& box,
                         const DecodeOptions& options, uint8_t* out) = nullptr;
};

extern const ImageFormat kJpegFormat;  // libjpeg-turbo; only the box, also reduced
extern const ImageFormat kPngFormat;   // libpng; stops behind the last row of the box
extern const ImageFormat kWebpFormat;  // libwebp
extern const ImageFormat kTiffFormat;  // libtiff; the first page
extern const ImageFormat kBmpFormat;   // no compression
extern const ImageFormat kPnmFormat;   // binary PGM and PPM

/// A PNG file of class ids, one channel: gray values as stored (of 1, 2, 4 or 8 bits, never scaled)
/// or indices into a palette. Throws DataError for a file that is not that, saying what it is.
Image decode_png_labels(const ImageFile& file);

/// `box` of an RGB image of `width` columns.
void copy_rgb_box(const uint8_t* image, int64_t width, const Box& box, uint8_t* out);

/// The orientation in EXIF data, which begins with its byte order, "II" or "MM"; 1 where there is
/// none or it makes no sense.
int read_exif_orientation(std::span<const uint8_t> exif);

/// Whole numbers at an offset; the caller has checked that they are there.
uint16_t little16(std::span<const uint8_t> bytes, size_t offset);
uint32_t little32(std::span<const uint8_t> bytes, size_t offset);
uint16_t big16(std::span<const uint8_t> bytes, size_t offset);
uint32_t big32(std::span<const uint8_t> bytes, size_t offset);

}  // namespace dnc
