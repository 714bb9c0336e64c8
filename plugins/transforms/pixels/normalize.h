#pragma once

#include <array>
#include <vector>

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Bytes to float32: (x - mean) / std for each channel. Rarely needed: the host does the same on
/// the device (`preprocess`), and bytes travel faster than floats.
class Normalize final : public Transform {
 public:
  struct Options {
    std::vector<double> mean;
    std::vector<double> std;
    double white = 255;
    void fields(Fields& f);
  };
  explicit Normalize(const Options& options);

  void apply(Sample& sample, Random& random) const override;

 private:
  // x * factor + offset; channels of a gray image use the first.
  std::array<float, 3> factor_{};
  std::array<float, 3> offset_{};
  size_t channels_;  // for which there are numbers
};

}  // namespace dnc
