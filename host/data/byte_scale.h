#pragma once

#include <array>

#include "registry/image.h"

namespace dnc {

/// How the floats of an image became what they are: float = slope * byte + offset, for each
/// channel. To show a normalised image, whoever normalised it.
class ByteScale {
 public:
  /// Of the channels' mean and std, which the network's input was made with.
  ByteScale(const std::array<double, 3>& mean, const std::array<double, 3>& std);
  /// The straight line that fits the pixels of an image before and after a step best. Where the
  /// step changed the size, or a channel has one value only: the one that brings the lowest float
  /// to 0 and the highest to 255.
  ByteScale(const Image& bytes, const Image& floats);

  /// Floats to bytes, rounded, and cut off at 0 and 255.
  Image to_bytes(const Image& floats) const;

 private:
  std::array<double, 3> slope_{1, 1, 1};
  std::array<double, 3> offset_{};
};

}  // namespace dnc
