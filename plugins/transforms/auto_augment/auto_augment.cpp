#include "plugins/transforms/auto_augment/auto_augment.h"

#include "plugins/transforms/auto_augment/policies.h"
#include "plugins/transforms/common/sample.h"

namespace dnc {

void AutoAugment::Options::fields(Fields& f) {
  f.choice(
       "policy", policy,
       {{"imagenet", Policy::kImageNet}, {"cifar10", Policy::kCifar10}, {"svhn", Policy::kSvhn}},
       "The data set that the operations were searched for.")
      .alias("policies");
  moved.fields(f);
}

AutoAugment::AutoAugment(const Options& options) : options_(options) {
  check_channels("fill", options.moved.fill);
}

std::vector<Augmentation> AutoAugment::draw(const Sample& sample, Random& random) const {
  const auto& pairs = options_.policy == Policy::kImageNet  ? policies::kImageNet
                      : options_.policy == Policy::kCifar10 ? policies::kCifar10
                                                            : policies::kSvhn;
  std::vector<Augmentation> drawn;
  for (const auto& choice : pairs[static_cast<size_t>(random.integer(0, 25))]) {
    if (!random.chance(choice.probability)) continue;
    drawn.push_back(draw_sign(choice.operation, choice.level / 9.0, Reach(), sample, random));
  }
  return drawn;
}

void AutoAugment::apply(Sample& sample, Random& random) const {
  for (const auto& each : draw(sample, random)) dnc::apply(each, sample, options_.moved);
}

}  // namespace dnc
