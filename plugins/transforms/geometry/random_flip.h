#pragma once

#include "registry/fields.h"
#include "registry/transform.h"

namespace dnc {

/// Mirrors left to right, at random.
class RandomFlip final : public Transform {
 public:
  struct Options {
    double probability = 0.5;
    void fields(Fields& f);
  };
  explicit RandomFlip(const Options& options) : probability_(options.probability) {}

  void apply(Sample& sample, Random& random) const override;

 private:
  double probability_;
};

}  // namespace dnc
