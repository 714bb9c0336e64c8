#pragma once

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Takes the colours away, at random: all channels become the luma, as torchvision's
/// RandomGrayscale.
class RandomGrayscale final : public Transform {
 public:
  struct Options {
    double probability = 0.1;
    void fields(Fields& f);
  };
  explicit RandomGrayscale(const Options& options) : probability_(options.probability) {}

  void apply(Sample& sample, Random& random) const override;

 private:
  double probability_;
};

}  // namespace dnc
