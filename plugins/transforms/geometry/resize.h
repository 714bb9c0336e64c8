#pragma once

#include <cstdint>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// To another size, as torchvision's Resize on a PIL image.
class Resize final : public Transform {
 public:
  struct Options {
    std::vector<int64_t> size;
    int64_t max_size = 0;
    Interpolation interpolation = Interpolation::kBilinear;
    void fields(Fields& f);
  };
  explicit Resize(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  Options options_;
};

}  // namespace dnc
