#include "plugins/transforms/auto_augment/trivial_augment.h"

#include "plugins/transforms/common/sample.h"

namespace dnc {

void TrivialAugment::Options::fields(Fields& f) { moved.fields(f); }

TrivialAugment::TrivialAugment(const Options& options) : options_(options) {
  check_channels("fill", options.moved.fill);
}

Augmentation TrivialAugment::draw(const Sample& sample, Random& random) const {
  static const Reach kWide = {
      .shear = 0.99, .translate_pixels = 32, .rotate = 135, .enhance = 0.99, .fewer_bits = 6};
  const auto& operations = torchvision_operations();
  const auto operation =
      operations[static_cast<size_t>(random.integer(0, static_cast<int64_t>(operations.size())))];
  const double strength = static_cast<double>(random.integer(0, 31)) / 30;
  return draw_sign(operation, strength, kWide, sample, random);
}

void TrivialAugment::apply(Sample& sample, Random& random) const {
  dnc::apply(draw(sample, random), sample, options_.moved);
}

}  // namespace dnc
