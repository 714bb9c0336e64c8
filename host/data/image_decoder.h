#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"

namespace dnc {

/// Image files to RGB: JPEG, PNG, WebP, TIFF, BMP, PGM and PPM, told by their content, not by their
/// suffix. A file is read whole and its header checked when it is opened; its pixels are decoded
/// when they are asked for. Of a JPEG only the part that is asked for is decoded, and comes out
/// equal to that part of the whole image.
///
/// Damage that lies outside of the part that is decoded is not seen.
class ImageDecoder final : public ImageReader {
 public:
  struct Options {
    bool orientation = true;
    bool tolerate_damage = false;
    int64_t max_pixels = 178'956'970;  // where Pillow gives up, too
    int64_t max_bytes = 256 << 20;
    int64_t max_scans = 500;
    void fields(Fields& f);
  };
  ImageDecoder() = default;
  explicit ImageDecoder(const Options& options) : options_(options) {}

  Image open(const std::string& path) const override;
  Image open(std::vector<uint8_t> bytes, const std::string& name) const override;
  /// PNG only. The orientation is not looked at: masks are made in the pixels' own order.
  Image open_labels(const std::string& path) const override;

 private:
  std::vector<uint8_t> read(const std::string& path) const;

  Options options_;
};

}  // namespace dnc
