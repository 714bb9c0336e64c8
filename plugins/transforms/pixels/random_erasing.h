#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "registry/fields.h"
#include "registry/image.h"
#include "registry/transform.h"

namespace dnc {

/// Fills a random rectangle (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020), with the
/// choice of rectangle of torchvision. The labels of pixels stay.
class RandomErasing final : public Transform {
 public:
  enum class Mode { kConstant, kRandom };
  struct Options {
    double probability = 0.5;
    std::vector<double> area{0.02, 0.33};
    std::vector<double> ratio{0.3, 3.3};
    Mode mode = Mode::kConstant;
    std::vector<double> fill{128};
    void fields(Fields& f);
  };
  explicit RandomErasing(const Options& options);

  void apply(Sample& sample, Random& random) const override;
  /// The rectangle in an image of this size; none where none of ten fits.
  std::optional<Box> choose(int64_t height, int64_t width, Random& random) const;

 private:
  Options options_;
};

}  // namespace dnc
