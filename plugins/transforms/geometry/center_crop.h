#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// The middle of an image, as torchvision's CenterCrop: [H, W] to `size`. An image that is smaller
/// gets a black border.
class CenterCrop final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> size;
    void fields(Fields& f);
  };
  explicit CenterCrop(const Options& options) : size_(options.size) {}

  void apply(Sample& sample, Random& random) const override;

 private:
  std::vector<int64_t> size_;
};

}  // namespace dnc
