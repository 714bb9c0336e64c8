#pragma once

#include <cstdint>
#include <vector>

#include "plugins/transforms/common/sample.h"
#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// To a random size about a given one, as RandomResize of mmsegmentation 1.x (Resize with
/// `ratio_range` in 0.x): `scale` times a random ratio, or the largest size of the image's own
/// shape that fits into that. Images are antialiased, as everywhere here; OpenCV does not do that.
class RandomResize final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> scale;
    std::vector<double> ratio_range{0.5, 2.0};
    bool keep_ratio = true;
    Interpolation interpolation = Interpolation::kBilinear;
    void fields(Fields& f);
  };
  explicit RandomResize(const Options& options);

  void apply(Sample& sample, Random& random) const override;
  /// The size that an image of this size gets, with this ratio.
  Size choose(int64_t height, int64_t width, double ratio) const;

 private:
  Options options_;
};

}  // namespace dnc
