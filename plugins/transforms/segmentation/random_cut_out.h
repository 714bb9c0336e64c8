#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// Rectangles at random places are filled (DeVries and Taylor, "Cutout", 2017), as RandomCutOut of
/// mmsegmentation: a hole begins at any pixel and ends at the edge of the image. Labels stay, or
/// are filled with `label_fill`.
class RandomCutOut final : public Transform {
 public:
  struct Options {
    double probability = 0.5;
    std::vector<int64_t> holes{1};
    std::vector<int64_t> size;
    std::vector<double> share;
    std::vector<double> fill{0};
    std::optional<int64_t> label_fill;
    void fields(Fields& f);
  };
  explicit RandomCutOut(const Options& options);

  /// Of images of bytes; throws Error for one of floats.
  void apply(Sample& sample, Random& random) const override;

 private:
  Box choose(int64_t height, int64_t width, Random& random) const;

  Options options_;
};

}  // namespace dnc
