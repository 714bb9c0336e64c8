#pragma once

#include <array>

#include "plugins/transforms/auto_augment/operations.h"

namespace dnc::policies {

/// An operation, its share of the images, and its strength from 0 to 9.
struct Choice {
  Operation operation;
  double probability;
  int level;
};

/// One of 25 is drawn for an image; both its operations follow each other.
using Pair = std::array<Choice, 2>;

/// The policies that Cubuk et al. 2019, "AutoAugment", found (tables 7, 8 and 9).
extern const std::array<Pair, 25> kImageNet;
extern const std::array<Pair, 25> kCifar10;
extern const std::array<Pair, 25> kSvhn;

}  // namespace dnc::policies
