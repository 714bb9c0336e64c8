#pragma once

#include <cstdint>
#include <vector>

#include "plugins/transforms/common/sample.h"
#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// To another size, as torchvision's Resize on a PIL image.
class Resize final : public Transform {
 public:
  /// The side that one number as `size` is for; the other one follows.
  enum class Edge { kShort, kLong, kHeight, kWidth };
  struct Options {
    std::vector<int64_t> size;
    Edge edge = Edge::kShort;
    int64_t max_size = 0;
    bool resize_labels = true;
    Interpolation interpolation = Interpolation::kBilinear;
    Decoding decoding = Decoding::kExact;
    void fields(Fields& f);
  };
  explicit Resize(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  Size find_size(int64_t height, int64_t width) const;

  Options options_;
};

}  // namespace dnc
