#pragma once

#include <cstdint>
#include <vector>

#include "plugins/transforms/geometry/padding.h"
#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// Adds pixels around an image, [H, W] to [H + top + bottom, W + left + right]: a given number, as
/// torchvision's Pad, or at the right and at the bottom as many as it lacks to a size, to a
/// multiple or to a square, as Pad of OpenMMLab. Labels are padded as the image is; where the
/// border is constant they are ignored.
class Pad final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> padding;
    std::vector<int64_t> size;
    int64_t size_divisor = 0;
    bool pad_to_square = false;
    std::vector<double> fill{0};
    Border::Mode padding_mode = Border::Mode::kConstant;
    void fields(Fields& f);
  };
  /// Throws OptionError unless one of the first four options says how much.
  explicit Pad(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  Padding find_padding(int64_t height, int64_t width) const;

  Options options_;
  Border border_;
};

}  // namespace dnc
